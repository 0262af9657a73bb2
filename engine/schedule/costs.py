"""What a run has besides its steps, and what a schedule makes of it at P50: a screen can afford it at every key."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.count import Due, Prices, count_schedule

GUESS_SPREAD = 0.3
"""Relative standard deviation where none was measured, and the figure comes from a part of one or from a trial."""
COMPUTED = ("steps", "evals")
"""Terms whose error is the curve's; saving and loading are not computed on the device."""
ANSWERS = ("generate", "metric")
"""Terms whose error is mainly that nobody knows what a model in training will write."""
ANSWERED = ("answers", "the metric")
"""Parts of an evaluation that need no word of their own where nothing of it was measured."""


class RunCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds each; None where it was not measured: an estimate then names it as left out."""

    load_seconds: float | None = None
    """From the start of the worker to a model and data ready to train, libraries imported. 0 where they are in
    memory already."""
    start_seconds: float | None = None
    """From there to the first step: the adapter, the trainer, the optimizer."""
    compile_seconds: float | None = None
    """What the first steps take longer than later ones of their length; 0 where nothing is compiled."""
    epoch_seconds: float | None = None
    """To begin an epoch: its order, the loader's workers, the first micro-batch."""
    eval_seconds: float | None = None
    """The loss over the whole evaluation set, once."""
    generate_seconds: float | None = None
    """Generation in one full evaluation, besides its loss; it counts where the schedule generates."""
    metric_seconds: float | None = None
    """Scoring what was generated, in one full evaluation; it counts where the schedule has a metric."""
    rehearsal_seconds: float | None = None
    """The part of a full evaluation that is made before the first step; it counts where the schedule has it."""
    answers_spread: float = GUESS_SPREAD
    """Relative standard deviation by which answers and their scores differ from what is expected of them."""
    answer_tokens: float | None = None
    """New tokens of a mean answer that `generate_seconds` is of; None where that is not known."""
    save_seconds: float | None = None
    """One checkpoint: weights or adapter, and the optimizer's state."""
    final_seconds: float | None = None
    """The final save of the model."""

    def evaluating(self, share: float) -> RunCosts:
        """With evaluations on such a share of their rows."""
        parts = ("eval_seconds", "generate_seconds", "metric_seconds")
        known = {name: seconds * share for name in parts if (seconds := getattr(self, name)) is not None}
        return msgspec.structs.replace(self, **known)


class StepsTime(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a curve and a run's shape, and no schedule changes."""

    seconds: float
    """Of all steps."""
    deviation: float
    """Standard deviation of their sum from that of single micro-steps."""
    uncertainty: float
    """Relative standard deviation of the curve as a forecast of the run."""
    total_steps: int
    epoch_steps: int
    epochs: int
    """Epochs that are begun."""


class Scheduled(NamedTuple):
    """A run under a schedule."""

    terms: dict[str, float]
    """Seconds at P50 by what takes them."""
    due: Due
    each: Prices


def time_schedule(steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool) -> Scheduled:
    """The terms of the whole run; what follows the best evaluation so far is counted as `count_due` says.

    Raises:
        ValueError: a frequency of the schedule cannot be read.
    """
    each = prices(steps, costs, schedule)
    due = count_schedule(
        schedule, each, total_steps=steps.total_steps, epoch_steps=steps.epoch_steps, evaluates=evaluates
    )
    terms = _terms(steps, costs, schedule, due)
    rehearsal = costs.rehearsal_seconds if evaluates and schedule.check_evaluation else None
    return Scheduled({**terms, "rehearsal": rehearsal} if rehearsal else terms, due, each)


def prices(steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings) -> Prices:
    """Seconds of each. What the schedule leaves out costs nothing; what was not measured adds nothing, and
    `left_out` names it."""
    loss = costs.eval_seconds or 0.0
    running = steps.seconds + steps.epochs * (costs.epoch_seconds or 0.0) + (costs.compile_seconds or 0.0)
    return Prices(
        step=running / max(steps.total_steps, 1),
        full=loss + sum(_answering(costs, schedule)),
        loss=loss,
        save=costs.save_seconds or 0.0,
    )


def left_out(costs: RunCosts, schedule: ScheduleSettings, due: Due) -> tuple[str, ...]:
    """What happens in a run and has no price, since nobody measured it: a total without it is a lower bound."""
    answers = bool(due.full) and schedule.generate
    happens = {
        "evaluations": (bool(due.full or due.loss), costs.eval_seconds),
        "answers": (answers, costs.generate_seconds),
        "the metric": (answers and bool(schedule.metric), costs.metric_seconds),
        "checkpoints": (due.saves > 0, costs.save_seconds),
    }
    found = [name for name, (often, seconds) in happens.items() if often and not seconds]
    return tuple(name for name in found if name not in ANSWERED or "evaluations" not in found)


def _answering(costs: RunCosts, schedule: ScheduleSettings) -> tuple[float, float]:
    """Seconds of (generation, metric) in a full evaluation."""
    if not schedule.generate:
        return 0.0, 0.0
    return costs.generate_seconds or 0.0, (costs.metric_seconds or 0.0) if schedule.metric else 0.0


def _terms(steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, due: Due) -> dict[str, float]:
    generate, metric = _answering(costs, schedule)
    return {
        "load": (costs.load_seconds or 0.0) + (costs.start_seconds or 0.0),
        "compile": costs.compile_seconds or 0.0,
        "steps": steps.seconds + steps.epochs * (costs.epoch_seconds or 0.0),
        "evals": (due.full + due.loss) * (costs.eval_seconds or 0.0),
        "generate": due.full * generate,
        "metric": due.full * metric,
        "saves": due.saves * (costs.save_seconds or 0.0),
        "final": costs.final_seconds or 0.0,
    }
