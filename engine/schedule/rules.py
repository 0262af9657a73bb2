"""What a schedule asks for, in optimizer steps and seconds."""

from __future__ import annotations

import math

import msgspec

from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.settings import ScheduleSettings

EARLY_STEPS, EARLY_SHARE = 20, 0.1
"""The first checkpoint comes after so many steps, or this share of a short run: soon enough that a disk that takes none
is found out before much is lost, late enough that the optimizer has its state."""
LOSS = "loss"
"""What `schedule.best_by` calls the evaluation loss."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule in optimizer steps and seconds; None where that is not what decides."""

    full_steps: int | None = None
    full_seconds: float | None = None
    loss_steps: int | None = None
    loss_seconds: float | None = None
    save_steps: int | None = None
    save_seconds: float | None = None
    first_save: int | None = None
    """The step of a checkpoint that is made early."""
    share: float | None = None
    """Of the time passed, the most for full evaluations."""
    only_best: bool = False
    """Checkpoints follow evaluations that are the best so far."""
    best_by_loss: bool = True
    """What is the best shows in every evaluation, else in full ones."""

    @property
    def full(self) -> bool:
        """Whether there are full evaluations."""
        return self.full_steps is not None or self.full_seconds is not None

    @property
    def loss(self) -> bool:
        """Whether there are evaluations of the loss alone."""
        return self.loss_steps is not None or self.loss_seconds is not None

    @property
    def saves(self) -> bool:
        """Whether there are checkpoints besides the early one."""
        return self.save_steps is not None or self.save_seconds is not None or self.only_best


def rules_of(
    schedule: ScheduleSettings, total_steps: int, epoch_steps: int, *, evaluates: bool, early: bool = True
) -> Rules:
    """The schedule of a training; `evaluates`: there is an evaluation set; `early`: its first checkpoint comes early,
    as a trainer of ours makes it.

    Raises:
        ValueError: a frequency cannot be read.
    """
    never = Frequency()
    full = parse_frequency(schedule.eval_every) if evaluates else never
    loss = parse_frequency(schedule.fast_eval_every) if evaluates else never
    save = parse_frequency(schedule.checkpoint_every)
    only_best = schedule.save_only_best and evaluates
    save_steps = None if only_best else frequency_steps(save, epoch_steps)
    return Rules(
        full_steps=frequency_steps(full, epoch_steps), full_seconds=full.seconds,
        loss_steps=frequency_steps(loss, epoch_steps), loss_seconds=loss.seconds,
        save_steps=save_steps, save_seconds=save.seconds,
        first_save=None if save == never or not early else first_save_step(total_steps, save_steps),
        share=schedule.eval_share, only_best=only_best, best_by_loss=schedule.best_by == LOSS,
    )  # fmt: skip


def first_save_step(total_steps: int, every_steps: int | None) -> int | None:
    """The step of a checkpoint that is made early; None where the schedule has one by then, or the run is over.

    `every_steps`: between checkpoints; None where they come by the clock, or with the best evaluations. A run whose
    schedule saves never has no such checkpoint, and the caller does not ask.
    """
    step = min(EARLY_STEPS, math.ceil(EARLY_SHARE * total_steps))
    if step >= total_steps or (every_steps is not None and every_steps <= step):
        return None
    return step


def frequency_steps(every: Frequency, epoch_steps: int) -> int | None:
    """A frequency in optimizer steps; None for never and for a stretch of time."""
    if every.steps is not None:
        return every.steps
    return max(round(every.epochs * epoch_steps), 1) if every.epochs is not None else None
