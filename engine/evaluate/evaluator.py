"""The second half of a full evaluation: what the model writes, and the user's metric of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.errors import ConfigError, DataError
from speedtui.engine.evaluate.generation import Generation
from speedtui.engine.evaluate.metric_calls import PLURAL
from speedtui.engine.evaluate.prompts import right_texts
from speedtui.engine.evaluate.scorer import Scorer, ScorerGone, ScoringOutcome
from speedtui.engine.evaluate.scorer_messages import Loaded, ScoringRequest
from speedtui.engine.evaluate.timed_answers import TimedAnswers, rows_to_score, time_answers
from speedtui.engine.meter.phases import INDEX, PhaseClock
from speedtui.engine.units import parse_duration
from speedtui.engine.workload import Report, Workload
from speedtui.engine.workload.samples import evaluation_table

if TYPE_CHECKING:
    import torch
    from torch import nn


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """What one evaluation gave beside its loss."""

    metrics: dict[str, float]
    """By name; empty without a metric."""
    unscored: int
    """Samples without a score of their own, which count as 0."""
    samples: int
    unanswered: int = 0
    """Of them, those whose prompt the model has no room for: they count as empty answers."""
    problem: str | None = None
    """Why the metric gave no number at all; None where it gave some."""
    generate_seconds: float
    """As the books have it: pauses are not in it."""
    metric_seconds: float


class Evaluator:
    """Has the model answer the evaluation data and the metric score it.

    The metric runs in a process of its own, which lives from one evaluation to the next. Nothing that it does ends
    the training: what it could not score counts as 0, and a notice says how much and why.
    """

    def __init__(
        self, settings: Settings, workload: Workload, device: torch.device, *, phases: PhaseClock, report: Report,
        notice: Callable[[str], None],
    ) -> None:  # fmt: skip
        """`report` may raise to end an evaluation; the evaluator can be used again afterwards."""
        self._settings, self._workload = settings, workload
        self._phases, self._report, self._notice = phases, report, notice
        self._generation = Generation(settings, workload, device, report, notice)
        self._scorer: Scorer | None = None
        self._names: dict[str, list[str]] = {}
        """What a metric last called its results, by target: an evaluation without any still counts as 0."""

    def prepare(self, schedule: ScheduleSettings | None = None) -> None:
        """Refuses what cannot be generated or scored; `schedule`: another one than that of the settings.

        Raises:
            DataError: there is no evaluation data.
            ConfigError: the model or the recipe does not generate, or the metric cannot be called.
        """
        schedule = schedule or self._settings.schedule
        if schedule.generate:
            self._require_answers()
        if not schedule.metric:
            return
        try:
            loaded = self._scorer_of(schedule.metric).load(self._loading)
            self._require_material(schedule.metric, loaded)
        except ScorerGone as gone:
            self._end_scorer()
            raise ConfigError(f"schedule.metric: {schedule.metric}: {gone}", "See worker.log.") from None
        except BaseException:
            self._end_scorer()
            raise

    def score(self, model: nn.Module, schedule: ScheduleSettings, rows: Sequence[int] | None = None) -> Scores:
        """Generates for these rows of the evaluation dataset and scores them; None: for all that are asked.

        Raises:
            DataError: there is no evaluation data.
            RecipeError: the recipe's own `generate` failed.
        """
        picked: Sequence[int] = ()
        if schedule.generate:
            picked = range(self._samples()) if rows is None else self._asked(rows)
        if not picked:
            return Scores(metrics={}, unscored=0, samples=0, generate_seconds=0.0, metric_seconds=0.0)
        before = self._seconds("generate"), self._seconds("metric")
        with self._phases.phase("generate"):
            texts = self._generation.texts(model, schedule, picked)
        unanswered = self._generation.unanswered
        metrics: dict[str, float] = {}
        unscored, problem = 0, None
        if schedule.metric:
            with self._phases.phase("metric"):
                metrics, unscored, problem = self._scored(schedule.metric, schedule, texts, picked)
        return Scores(
            metrics=metrics, unscored=unscored, samples=len(picked), unanswered=unanswered, problem=problem,
            generate_seconds=self._seconds("generate") - before[0],
            metric_seconds=self._seconds("metric") - before[1],
        )  # fmt: skip

    def timed(self, model: nn.Module, schedule: ScheduleSettings) -> TimedAnswers:
        """What answers and their scores cost: a few batches written as long as the right answers are, and some right
        answers scored, since what a model has not learned yet is scored at another price.

        Raises:
            DataError: there is no evaluation data.
            ConfigError: the metric cannot be called.
            RecipeError: the recipe's own `generate` failed.
            Exception: what the model raises.
        """
        self._samples()
        with self._phases.phase("generate"):
            measured = time_answers(self._generation, self._settings, self._workload, model, schedule)
        if not schedule.metric:
            return measured
        with self._phases.phase("metric"):
            seconds, problem = self._timed_scores(schedule.metric, schedule)
        return msgspec.structs.replace(measured, scored_seconds=seconds, problem=problem)

    def _timed_scores(self, target: str, schedule: ScheduleSettings) -> tuple[float | None, str]:
        """(seconds a row beside the others, why that is not known)."""
        rows = rows_to_score(self._samples())
        texts = right_texts(self._workload, rows)
        if texts is None:
            return None, "a recipe without references tells no right answers that could be scored"
        request = self._request(texts, rows, schedule.metric_threads)
        outcome = self._scorer_of(target).score(request, parse_duration(schedule.metric_timeout), self._loading)
        scored = len(outcome.scores) or (len(rows) if any(v is not None for v in outcome.metrics.values()) else 0)
        return (outcome.seconds / scored, "") if scored else (None, _reasons(outcome, len(rows)))

    def close(self) -> None:
        """Ends the metric's process."""
        if self._scorer is not None:
            self._scorer.close()
            self._scorer = None

    def _seconds(self, phase: str) -> float:
        return self._phases.totals_ns[INDEX[phase]] / 1e9

    # -- what is needed ----------------------------------------------------------------------------

    def _asked(self, rows: Sequence[int]) -> list[int]:
        """Rows of the evaluation dataset among the questions."""
        evaluated: Any = self._workload.eval_dataset
        questions: Any = self._workload.questions
        if questions is evaluated:
            return list(rows)
        places = {
            (int(n), int(t)): place for place, (n, t) in enumerate(zip(questions.numbers, questions.turns, strict=True))
        }
        return [places[int(evaluated.numbers[row]), int(evaluated.turns[row])] for row in rows]

    def _samples(self) -> int:
        count = 0 if self._workload.questions is None else len(self._workload.questions)
        if not count:
            hint = "Return eval_dataset from the recipe." if self._is_recipe else "Name data.eval."
            raise DataError("data.eval: there is nothing to evaluate, and schedule.generate needs it", hint)
        return count

    @property
    def _is_recipe(self) -> bool:
        return self._settings.model.kind == "python"

    def _require_answers(self) -> None:
        self._samples()
        if self._is_recipe and self._workload.generate is None:
            raise ConfigError(
                f"schedule.generate: the recipe {self._workload.name} returns no generate",
                "Return generate as well, a function of (model, samples) that gives one text for each sample.",
            )
        if not self._is_recipe and not hasattr(self._workload.model, "generate"):
            raise ConfigError(
                f"schedule.generate: {type(self._workload.model).__name__} cannot generate",
                "Set schedule.generate = false.",
            )

    def _require_material(self, target: str, loaded: Loaded) -> None:
        """A recipe has only those rows and right answers that it returns."""
        if not self._is_recipe:
            return
        materials = (
            (self._workload.references, "references", "one text"), (self._workload.rows, "rows", "one dict")
        )  # fmt: skip
        for given, key, each in materials:
            named = next((name for name in loaded.needs if PLURAL.get(name, name) == PLURAL[key]), None)
            if given is None and named is not None:
                raise ConfigError(
                    f"schedule.metric: {target} needs {named}, and the recipe {self._workload.name} returns no {key}",
                    f"Return {key} from the recipe as well: {each} for each sample of eval_dataset.",
                )

    # -- the metric --------------------------------------------------------------------------------

    def _loading(self, done: int) -> None:
        self._report("loading the metric", 0, None)

    def _scorer_of(self, target: str) -> Scorer:
        """The process of this metric, the one that is there where it still lives."""
        if self._scorer is not None and (self._scorer.target != target or not self._scorer.alive):
            self._end_scorer()
        if self._scorer is None:
            self._scorer = Scorer(target)
        return self._scorer

    def _end_scorer(self) -> None:
        if self._scorer is not None:
            self._scorer.kill()
            self._scorer = None

    def _scored(
        self, target: str, schedule: ScheduleSettings, texts: list[str], rows: Sequence[int]
    ) -> tuple[dict[str, float], int, str | None]:
        request = self._request(texts, rows, schedule.metric_threads)

        def tick(done: int) -> None:
            self._report("scoring", done, len(texts))

        outcome = self._scorer_of(target).score(request, parse_duration(schedule.metric_timeout), tick)
        self._report("scoring", len(texts), len(texts))
        return self._result(target, outcome, len(texts))

    def _request(self, texts: list[str], rows: Sequence[int], threads: int) -> ScoringRequest:
        if self._is_recipe:
            known, told = self._workload.references, self._workload.rows
            return ScoringRequest(
                predictions=texts, threads=threads,
                references=None if known is None else [str(known[row]) for row in rows],
                rows=None if told is None else [dict(told[row]) for row in rows],
            )  # fmt: skip
        dataset: Any = self._workload.questions
        return ScoringRequest(
            predictions=texts, threads=threads, numbers=dataset.numbers[list(rows)].tolist(),
            turns=dataset.turns[list(rows)].tolist(),
            source=evaluation_table(self._settings),
        )  # fmt: skip

    def _result(self, target: str, outcome: ScoringOutcome, samples: int) -> tuple[dict[str, float], int, str | None]:
        """(metrics, samples without a score, why there is no number at all); what is missing is 0, and told."""
        if outcome.metrics:
            self._names[target] = list(outcome.metrics)
            metrics = {name: value or 0.0 for name, value in outcome.metrics.items()}
            unscored = samples if None in outcome.metrics.values() else 0
        elif outcome.scores or target not in self._names:
            metrics = {target.rpartition(":")[2]: sum(outcome.scores.values()) / samples}
            unscored = samples - len(outcome.scores)
        else:
            metrics, unscored = dict.fromkeys(self._names[target], 0.0), samples
        reasons = _reasons(outcome, samples)
        if unscored:
            self._notice(f"{target}: {unscored} of {samples} samples have no score and count as 0: {reasons}")
        numbers = [*outcome.scores.values(), *(value for value in outcome.metrics.values() if value is not None)]
        return metrics, unscored, None if numbers else reasons


def _reasons(outcome: ScoringOutcome, samples: int) -> str:
    """Why scores are missing: the first reason, with the place of its sample where it is of one, and the end's."""
    reasons = []
    if outcome.failed:
        place = min(outcome.failed)
        everywhere = len(set(outcome.failed.values())) == 1 and len(outcome.failed) == samples
        reasons.append(f"{'' if everywhere else f'sample {place + 1}: '}{outcome.failed[place]}")
    if outcome.problem is not None:
        reasons.append(outcome.problem)
    return "; ".join(reasons)
