"""Carries out what a search asks for, and tells what it decides."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import NothingFits, UsageError
from speedtui.engine.hardware.limits import too_many_workers, usable_cores
from speedtui.engine.jobs.predicting import Predictor
from speedtui.engine.jobs.study import Study
from speedtui.engine.search.auto import Auto, memory_classes
from speedtui.engine.search.base import Compare, Compared, Decision, Strategy, Try
from speedtui.engine.search.knobs import Machine
from speedtui.engine.search.sampled import Sampled, sampled_classes
from speedtui.engine.units import format_size

if TYPE_CHECKING:
    from speedtui.engine.trial.runner import TrialRunner


class Search:
    """A strategy at work on a study."""

    def __init__(self, context: JobContext, study: Study, runner: TrialRunner, predictor: Predictor) -> None:
        """Predicts the memory of what it may try; the model is loaded.

        Raises:
            JobStopped: the job was asked to end.
        """
        self._context = context
        self._study = study
        self._runner = runner
        self._predictor = predictor
        before = context.before.study
        self._compared = _compared_before(before.decisions if before is not None else ())
        self._told = {(d.kind, d.what, d.trial) for d in before.decisions} if before is not None else set()
        self._classes = self._possible()
        predictor.prepare(self._classes)
        if before is None:
            predictor.tell_classes(self._classes)
        self._strategy = self._new_strategy()

    def step(self) -> bool:
        """Does one thing that the search wants: queues a trial or compares two; False at its end.

        Raises:
            JobStopped: the job was asked to end.
        """
        ask = self._strategy.ask(self._study.trials(), self._compared)
        self._tell_decisions()
        self._study.chosen = self._strategy.incumbent
        if ask is None:
            self._study.searching = False
        elif isinstance(ask, Try):
            self._propose(ask)
        else:
            self._compared.append(self._compare(ask))
            self._strategy.ask(self._study.trials(), self._compared)  # what follows from it is told before all else
            self._tell_decisions()
        return ask is not None

    def require_fit(self) -> None:
        """Says what would fit where the search found nothing that does.

        Raises:
            NothingFits: no configuration fits in memory.
        """
        results = self._study.results.values()
        burst = bool(results) and all(result.status is TrialStatus.OUT_OF_MEMORY for result in results)
        if self._strategy.dead_end or burst:
            reason = f": {self._strategy.dead_end}" if self._strategy.dead_end else ""
            raise NothingFits(f"no configuration fits in memory{reason}", self._what_would_fit())

    def _what_would_fit(self) -> str:
        least = self._least()
        shorter = self._predictor.longest_that_fits(least) if least is not None else None
        if shorter is None:
            return "Try method lora, a smaller model, or a smaller data.max_length."
        length, expected = shorter
        free = format_size(self._predictor.free_bytes)
        extra = " and train.gradient_checkpointing = true" if least and least.train.gradient_checkpointing else ""
        return f"With data.max_length = {length}{extra} it fits: predicted {format_size(expected)} of {free}."

    def _least(self) -> Settings | None:
        """The class that is predicted to need least memory."""
        sizes = [(peak, i) for i, one in enumerate(self._classes) if (peak := self._predictor.least_bytes(one))]
        return self._classes[min(sizes)[1]] if sizes else None

    def _possible(self) -> list[Settings]:
        settings = self._context.settings
        without_mask = self._runner.without_mask
        if settings.search.knobs:
            return sampled_classes(settings, without_mask, self._refusal)
        return memory_classes(settings, self._machine(), without_mask)

    def _new_strategy(self) -> Strategy:
        settings, predictor = self._context.settings, self._predictor
        if settings.search.knobs:
            return Sampled(
                settings, predictor.surfaces, free_bytes=predictor.free_bytes, past=predictor.past,
                without_mask=self._runner.without_mask, refusal=self._refusal,
            )  # fmt: skip
        from speedtui.engine.schedule.steps import counts_of

        workload = self._runner.workload
        return Auto(
            settings, predictor.surfaces, free_bytes=predictor.free_bytes, machine=self._machine(), past=predictor.past,
            total_steps=counts_of(settings, workload.facts.train_rows).total_steps if workload is not None else None,
            without_mask=self._runner.without_mask,
        )  # fmt: skip

    def _refusal(self, settings: Settings) -> str:
        from speedtui.engine.workload.packages import require_training_packages
        from speedtui.engine.workload.precision import require_device

        workers = settings.train.loader_workers
        if workers != self._context.settings.train.loader_workers and (why := too_many_workers(workers)):
            return why
        try:
            require_training_packages(settings.model)
            require_device(settings, self._runner.device)
        except UsageError as error:
            return error.in_one
        return ""

    def _machine(self) -> Machine:
        from speedtui.engine.workload.attention import own_attention
        from speedtui.engine.workload.precision import has_bf16, has_tf32

        device = self._runner.device
        return Machine(
            cuda=device.type == "cuda",
            cores=usable_cores(),
            flash_attention=find_spec("flash_attn") is not None,
            flash_attention_3=find_spec("flash_attn_interface") is not None,
            bf16=has_bf16(device),
            tf32=has_tf32(device),
            sdpa=own_attention(self._context.settings.model) != "eager",
        )

    def _propose(self, ask: Try) -> None:
        candidate = self._study.propose(ask.values)
        self._context.emit(
            e.DecisionMade(t=self._context.t, kind="choose", what=candidate.label, reason=ask.why, trial=candidate.id)
        )

    def _compare(self, ask: Compare) -> Compared:
        """In turns, as far as nothing goes wrong with either."""
        from speedtui.engine.trial.failures import TrialEnded

        both = self._candidate(ask.incumbent), self._candidate(ask.challenger)
        what = f"comparing #{ask.challenger} with #{ask.incumbent} in turns"
        self._context.progress(what, 0, None)
        try:
            found = self._runner.compare(*both)
        except TrialEnded as ended:
            self._context.notice(f"{what}: {ended.reason}")
            return Compared(incumbent=ask.incumbent, challenger=ask.challenger, ratio=None)
        finally:
            self._context.progress(what, 1, 1)
        return Compared(
            incumbent=ask.incumbent, challenger=ask.challenger, ratio=found.ratio, low=found.low, high=found.high
        )  # fmt: skip

    def _candidate(self, trial: int) -> Candidate:
        return self._study.candidates[trial]

    def _tell_decisions(self) -> None:
        """Those that neither this worker nor one before it has told."""
        for decision in self._strategy.decisions:
            key = (decision.kind, decision.what, decision.trial)
            if key not in self._told:
                self._told.add(key)
                self._context.emit(_event(self._context.t, decision))


def _compared_before(decisions: Iterable[e.DecisionMade]) -> list[Compared]:
    """What an earlier worker of the run compared, also where it did not come to a figure: it is not done again."""
    return [
        Compared(
            incumbent=told.against, challenger=told.trial, ratio=told.ratio, low=told.ratio_low, high=told.ratio_high
        )
        for told in decisions
        if told.against is not None and told.trial is not None
    ]


def _event(t: float, decision: Decision) -> e.DecisionMade:
    compared = decision.compared
    return e.DecisionMade(
        t=t, kind=decision.kind, what=decision.what, reason=decision.reason, trial=decision.trial,
        against=compared.incumbent if compared is not None else None,
        ratio=compared.ratio if compared is not None else None,
        ratio_low=compared.low if compared is not None else None,
        ratio_high=compared.high if compared is not None else None,
    )  # fmt: skip
