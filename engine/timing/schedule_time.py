"""What a schedule adds to a run's steps, at P50; plain arithmetic that a screen can afford at every key."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.costs import RunCosts
from speedtui.engine.timing.due import Due, Prices, rules_of
from speedtui.engine.timing.walk import count_due

COMPUTED = ("steps", "evals")
"""Terms whose error is the curve's; saving and loading are not computed on the device."""
ANSWERS = ("generate", "metric")
"""Terms whose error is mainly that nobody knows what a model in training will write."""
ANSWERED = ("answers", "the metric")
"""Parts of an evaluation that need no word of their own where nothing of it was measured."""


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


def time_schedule(
    steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool
) -> Scheduled:  # fmt: skip
    """The terms of the whole run; what follows the best evaluation so far is counted as `count_due` says.

    Raises:
        ValueError: a frequency of the schedule cannot be read.
    """
    each = prices(steps, costs, schedule)
    rules = rules_of(schedule, steps.total_steps, steps.epoch_steps, evaluates=evaluates)
    due = count_due(rules, steps.total_steps, each)
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
