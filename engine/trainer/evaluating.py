"""The evaluations of a training: the loss, and in full ones what the model generates and how it scores."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any

import torch
from torch import nn
from torch.utils.data import Subset
from transformers import TrainerControl, TrainerState

from speedtui.engine import events as e
from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ConfigError
from speedtui.engine.evaluate.evaluator import Evaluator, Scores
from speedtui.engine.evaluate.rehearsal import expected_loss_seconds, rehearsal_rows
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.output import warn_traceback
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.schedule.rules import LOSS
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.answer_costs import answer_costs
from speedtui.engine.trainer.finite import FiniteWatch
from speedtui.engine.trainer.live_settings import LiveSettings
from speedtui.engine.trainer.loaders import kept_randomness
from speedtui.engine.trainer.schedule import EvaluationLeft, TrainingSchedule
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.evaluation_batch import evaluation_rows, generation_rows
from speedtui.engine.workload.failures import is_broken, is_out_of_memory, why_broken

PHASES = ("eval", "generate", "metric")

Metrics = dict[str, float]


class Evaluating:
    """Nothing in an evaluation changes the training: not its random numbers, and an error does not end it."""

    def __init__(
        self, context: JobContext, live: LiveSettings, workload: Workload, schedule: TrainingSchedule, eta: Eta,
        evaluator: Evaluator | None, watch: FiniteWatch,
    ) -> None:  # fmt: skip
        self._context = context
        self._live = live
        self._workload = workload
        self._schedule = schedule
        self._eta = eta
        self._watch = watch
        self.evaluator = evaluator
        """Of generation and metric; None where there is none."""
        self._batches_done = 0
        self._batches: int | None = None

    def evaluate(
        self, model: nn.Module, state: TrainerState, control: TrainerControl, loss_pass: Callable[[], Metrics]
    ) -> Metrics:
        """The evaluation that the schedule decided; `loss_pass` gives `eval_loss`. Empty where there is no result.

        Raises:
            Exception: it broke the device.
        """
        step, kind = state.global_step, self._schedule.kind
        started, before = working_seconds(), self._seconds()
        self._eta.began(kind, self._context.t)
        try:
            with kept_randomness():
                metrics = loss_pass()
                scores = self._scores(model) if kind == "full" else None
        except EvaluationLeft:
            self._schedule.leave_evaluation(step, control)
            return {}
        except Exception as error:
            if is_broken(error) or why_broken(_device_of(model)):
                raise  # no step could follow it
            self._tell_failed(step, error)
            return {}
        loss = metrics.get("eval_loss")
        finite = loss is not None and math.isfinite(loss)
        evaluation = e.EvaluationCompleted(
            t=self._context.t,
            step=step,
            loss=loss if finite else None,
            nonfinite=loss is not None and not finite,
            seconds=round(working_seconds() - started, 6),
            rows=len(self._workload.eval_dataset or ()),
            left_out=self._workload.facts.eval_dropped_rows,
            cut=self._workload.facts.eval_cut_rows,
            answers=scores.samples if scores is not None else None,
            unanswered=scores.unanswered if scores is not None else 0,
            kind=kind,
            metrics=scores.metrics if scores is not None else {},
            unscored=scores.unscored if scores is not None else 0,
            phases=self._since(before),
        )
        if scores is not None and scores.metrics:
            self._take_figures(step, scores)
        self._watch.evaluated(evaluation)
        self._schedule.evaluated(evaluation, control, last=step >= state.max_steps)
        return metrics

    @property
    def rows_at_a_time(self) -> int:
        """Rows of a batch of which the loss is computed, by the settings as they are now."""
        return evaluation_rows(self._live.current, self._workload)

    @property
    def answered_at_a_time(self) -> int:
        """Rows of a batch of answers, as the settings are now."""
        return generation_rows(self._live.current, self._workload)

    def rehearse(self, model: nn.Module, loss_pass: Callable[[Any], Metrics]) -> None:
        """Evaluates a few rows in full, so that what fails in it fails before anything was trained.

        The loss of two batches, the longest one and one around the median, and the answers to the longest batch of
        prompts. `loss_pass`: over a dataset.

        Raises:
            SpeedtuiError: the metric or a recipe cannot work.
            JobStopped: somebody asked the training to end.
        """
        dataset: Any = self._workload.eval_dataset
        if dataset is None:
            return
        rows = rehearsal_rows(self._workload, self.rows_at_a_time)
        answered = rehearsal_rows(self._workload, self.answered_at_a_time, batches=1)
        started, before = working_seconds(), self._seconds()
        try:
            with kept_randomness():
                loss_pass(Subset(dataset, rows))
                scores = self._scores(model, answered)
            if scores is not None:
                _require_numbers(scores, self._live.current.schedule)
                self._live.figures = tuple(scores.metrics)
            phases = self._since(before)
            expected = self._expected(model, phases, rows, answered)
        except EvaluationLeft:
            if self._schedule.stopped is not None:
                raise self._schedule.stopped from None
            return
        self._eta.rehearsed(sum(expected.values()), expected)
        self._context.emit(
            e.EvaluationRehearsed(
                t=self._context.t, rows=len(rows), seconds=round(working_seconds() - started, 6),
                expected_seconds=round(sum(expected.values()), 3), phases=phases,
                expected_phases={name: round(seconds, 3) for name, seconds in expected.items()},
            )
        )  # fmt: skip

    def _expected(
        self, model: nn.Module, phases: Mapping[str, float], rows: Sequence[int], answered: Sequence[int]
    ) -> dict[str, float]:
        """Seconds of a whole evaluation by phase.

        A model that has learned nothing yet writes until it is stopped, and what it writes is scored at another price:
        so the answers are as a plan or trial measured them, else as they are measured now.
        """
        expected = {"eval": expected_loss_seconds(self._workload, rows, phases.get("eval", 0.0))}
        settings = self._live.current
        if self.evaluator is None or not settings.schedule.generate or not answered:
            return expected
        known = self._eta.answer_seconds
        names = ("generate", "metric") if settings.schedule.metric else ("generate",)
        if not all(known.get(name) for name in names):
            timed = answer_costs(self.evaluator.timed(model, settings.schedule))
            costs = timed.of_run(RunCosts(), self._workload, settings)
            known = {"generate": costs.generate_seconds or 0.0, "metric": costs.metric_seconds or 0.0}
        whole = len(self._workload.questions or ()) / len(answered)
        return expected | {name: known[name] or phases.get(name, 0.0) * whole for name in names}

    def begins(self, loader: Any) -> None:
        """Batches of this loader come now."""
        self._batches_done, self._batches = 0, len(loader) if isinstance(loader, Sized) else None

    def batch(self) -> None:
        """One more of them; commands are followed in between.

        Raises:
            EvaluationLeft: the training is to end now.
        """
        self._batches_done += 1
        self._schedule.during_evaluation("evaluating", self._batches_done, self._batches)

    def _scores(self, model: nn.Module, rows: Sequence[int] | None = None) -> Scores | None:
        schedule = self._live.current.schedule
        if self.evaluator is None or not schedule.generate:
            return None
        with self._context.phases.phase("eval"):
            return self.evaluator.score(model, schedule, rows)

    def _take_figures(self, step: int, scores: Scores) -> None:
        """What the metric returns by now; said once where the evaluations are to be judged by something else."""
        schedule, known = self._live.current.schedule, self._live.figures
        self._live.figures = tuple(scores.metrics)
        if schedule.best_by not in (LOSS, *scores.metrics) and known != self._live.figures:
            self._context.notice(
                f"schedule.best_by: {schedule.metric} returns no {schedule.best_by}: of the evaluations from step "
                f"{step} on none is the best",
                level="warning",
                hint=f"Set it to one of {self._live.judges}.",
            )

    def _tell_failed(self, step: int, error: Exception) -> None:
        warn_traceback(error)
        reason = "out of memory" if is_out_of_memory(error) else str(error).strip() or type(error).__name__
        text = f"the evaluation at step {step} failed: {reason.splitlines()[0]}; the training goes on"
        self._context.notice(text, level="error", hint="The traceback is in worker.log.")
        traceback.clear_frames(error.__traceback__)  # which hold the tensors of the batch that failed

    def _seconds(self) -> dict[str, float]:
        return {name: self._context.phases.seconds(name) for name in PHASES}

    def _since(self, before: dict[str, float]) -> dict[str, float]:
        """Seconds by phase since then, those with none left out."""
        return {name: round(now - before[name], 6) for name, now in self._seconds().items() if now > before[name]}


def _device_of(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _require_numbers(scores: Scores, schedule: ScheduleSettings) -> None:
    """Refuses a metric that scores nothing, and a `best_by` that it does not return: a run judged by it is for nothing.

    Raises:
        ConfigError: one of both.
    """
    if schedule.metric and scores.problem is not None:
        raise ConfigError(
            f"schedule.metric: {schedule.metric} scores none of {scores.samples} samples: {scores.problem}",
            "Correct it. With schedule.check_evaluation = false they count as 0 and the training goes on.",
        )
    if schedule.best_by != LOSS and schedule.best_by not in scores.metrics:
        names = [*scores.metrics, LOSS]
        raise ConfigError(
            f"schedule.best_by: {schedule.metric} returns no {schedule.best_by}{nearest(schedule.best_by, names)}",
            f"Take one of {', '.join(names)}.",
        )
