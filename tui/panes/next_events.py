"""When the next evaluation and the next checkpoint come, by the rules of the training's schedule."""

from __future__ import annotations

from typing import NamedTuple

from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.timing.counts import count_steps, frequency_steps


class TimeUntil(NamedTuple):
    """How far away something is."""

    seconds: float
    steps: int | None = None
    """None where it goes by the clock."""


def next_evaluation(run: RunState, training: TrainingState) -> TimeUntil | None:
    """The next full evaluation; None where it is not known, or never."""
    if nothing_to_evaluate(run):
        return None
    last = max((done.t for done in training.evaluations if done.kind == "full"), default=None)
    coming, end = _left(run, training, str(run.schedule.get("eval_every", "never")), last), _end(training)
    return end if coming is not None and end is not None and _later(coming, end) else coming


def nothing_to_evaluate(run: RunState) -> bool:
    """Whether it is known that no evaluation comes, however it is spaced."""
    return run.model is not None and not run.model.eval_rows


def next_checkpoint(run: RunState, training: TrainingState) -> TimeUntil | None:
    """The next checkpoint; None also where checkpoints follow the best evaluations, or the run ends before it."""
    every = str(run.schedule.get("checkpoint_every", "never"))
    last = training.checkpoints[-1].t if training.checkpoints else None
    if run.schedule.get("save_only_best") and not _by_the_clock(every):
        return None
    coming, end = _left(run, training, every, last), _end(training)
    return None if coming is not None and end is not None and not _later(end, coming) else coming


def _end(training: TrainingState) -> TimeUntil | None:
    """The last step, which is evaluated and after which the model is saved instead of a checkpoint."""
    left = training.total_steps - training.step
    eta = training.eta.terms.get("steps") if training.eta is not None else None
    if eta is not None:
        return TimeUntil(eta, left)
    return TimeUntil(left * training.steps.seconds, left) if training.steps.seconds is not None else None


def _later(one: TimeUntil, other: TimeUntil) -> bool:
    """Whether one comes after the other: by steps where both are counted in them."""
    if one.steps is not None and other.steps is not None:
        return one.steps > other.steps
    return one.seconds > other.seconds


def _by_the_clock(every: str) -> bool:
    try:
        return parse_frequency(every).seconds is not None
    except ValueError:
        return False


def _left(run: RunState, training: TrainingState, every: str, last: float | None) -> TimeUntil | None:
    try:
        frequency = parse_frequency(every)
    except ValueError:
        return None
    if frequency.seconds is not None:
        if last is None and training.resumes:
            return None  # it counts from the present start, which nobody has told
        since = training.started_at if last is None else last
        return TimeUntil(max(0.0, since + frequency.seconds - run.t))
    epoch_steps = _epoch_steps(run, training)
    if frequency.epochs is not None and epoch_steps is None:
        return None
    steps = frequency_steps(frequency, epoch_steps or 1)
    if steps is None or training.steps.seconds is None:
        return None
    left = steps - training.step % steps
    return TimeUntil(left * training.steps.seconds, left)


def _epoch_steps(run: RunState, training: TrainingState) -> int | None:
    """None where samples are packed: how many packs they made is not told."""
    if run.model is None or run.config.get("data", {}).get("packing"):
        return None
    micro = training.micro_batch_size
    counts = count_steps(run.model.train_rows, micro, micro * training.grad_accum_steps, epochs=1.0, max_steps=None)
    return counts.epoch_steps
