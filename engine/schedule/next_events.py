"""When the next evaluation and the next checkpoint of a run come, by the rules of its schedule."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.rules import Rules, rules_of
from speedtui.engine.schedule.steps import count_steps
from speedtui.engine.state import RunState, TrainingState


class TimeUntil(NamedTuple):
    """How far away something is."""

    seconds: float
    steps: int | None = None
    """None where it goes by the clock."""


def next_evaluation(run: RunState, training: TrainingState) -> TimeUntil | None:
    """The next full evaluation; None where it is not known, or never."""
    rules = None if nothing_to_evaluate(run) else _rules(run, training, "eval_every")
    if rules is None or not rules.full:
        return None
    last = max((done.t for done in training.evaluations if done.kind == "full"), default=None)
    coming, end = _until(run, training, rules.full_steps, rules.full_seconds, last), _end(training)
    return end if coming is not None and end is not None and _later(coming, end) else coming


def nothing_to_evaluate(run: RunState) -> bool:
    """Whether it is known that no evaluation comes, however it is spaced."""
    return run.model is not None and not run.model.eval_rows


def next_checkpoint(run: RunState, training: TrainingState) -> TimeUntil | None:
    """The next checkpoint; None also where checkpoints follow the best evaluations, or the run ends before it."""
    rules = _rules(run, training, "checkpoint_every")
    if rules is None:
        return None
    last = training.checkpoints[-1].t if training.checkpoints else None
    coming, end = _until(run, training, rules.save_steps, rules.save_seconds, last), _end(training)
    early = _steps_until(training, rules.first_save - training.step) if rules.first_save is not None else None
    if early is not None and early.steps and (coming is None or not _later(early, coming)):
        return early
    return None if coming is not None and end is not None and not _later(end, coming) else coming


def _rules(run: RunState, training: TrainingState, name: str) -> Rules | None:
    """None where the setting of this name cannot be read, or not be told in steps."""
    told = run.schedule
    epoch_steps = _epoch_steps(run, training)
    every = str(told.get(name, "never"))
    only_best = bool(told.get("save_only_best"))
    schedule = ScheduleSettings(eval_every="never", checkpoint_every="never", save_only_best=only_best)
    schedule = msgspec.structs.replace(schedule, **{name: every})
    evaluates, early = not nothing_to_evaluate(run), run.job != "run"  # a program's own trainer makes none early
    try:
        if epoch_steps is None and parse_frequency(every).epochs is not None:
            return None
        return rules_of(schedule, training.total_steps, epoch_steps or 1, evaluates=evaluates, early=early)
    except ValueError:
        return None


def _until(
    run: RunState, training: TrainingState, steps: int | None, seconds: float | None, last: float | None
) -> TimeUntil | None:
    """`last`: when it was done last, by any worker; another one counts from its own first step."""
    if seconds is not None:
        began = training.rehearsal.t if training.rehearsal is not None else 0.0
        since = max(last or 0.0, training.worker_began_at, began)
        return TimeUntil(max(0.0, since + seconds - run.t))
    return _steps_until(training, steps - training.step % steps) if steps is not None else None


def _steps_until(training: TrainingState, left: int) -> TimeUntil | None:
    each = training.steps.seconds
    return TimeUntil(left * each, left) if each is not None and left > 0 else None


def _end(training: TrainingState) -> TimeUntil | None:
    """The last step, which is evaluated and after which the model is saved instead of a checkpoint."""
    left = training.total_steps - training.step
    eta = training.eta.terms.get("steps") if training.eta is not None else None
    return TimeUntil(eta, left) if eta is not None else _steps_until(training, left)


def _later(one: TimeUntil, other: TimeUntil) -> bool:
    """Whether one comes after the other: by steps where both are counted in them."""
    if one.steps is not None and other.steps is not None:
        return one.steps > other.steps
    return one.seconds > other.seconds


def _epoch_steps(run: RunState, training: TrainingState) -> int | None:
    """None where samples are packed: how many packs they made is not told."""
    if run.model is None or run.config.get("data", {}).get("packing"):
        return None
    micro = training.micro_batch_size
    counts = count_steps(run.model.train_rows, micro, micro * training.grad_accum_steps, epochs=1.0, max_steps=None)
    return counts.epoch_steps
