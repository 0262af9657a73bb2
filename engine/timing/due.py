"""What a schedule asks for, as plain values: its rules in steps and seconds, what each thing costs, what is to come."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.counts import first_save_step, frequency_steps


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
        """Whether there are checkpoints by a frequency."""
        return self.save_steps is not None or self.save_seconds is not None


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds each."""

    step: float
    full: float = 0.0
    loss: float = 0.0
    save: float = 0.0


class TrainingPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far a training is."""

    step: int = 0
    passed: float = 0.0
    """Seconds, which a share is of."""
    spent: float = 0.0
    """Seconds in full evaluations."""
    since_full: float = 0.0
    """Seconds since the last full evaluation, or the start."""
    since_loss: float = 0.0
    """The same of any evaluation."""
    since_save: float = 0.0
    judged: int = 0
    """Evaluations in which the best so far showed."""


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """What is still to come."""

    full: int = 0
    loss: int = 0
    saves: float = 0.0
    """Checkpoints before the final model; no whole number where they follow what is best."""

    def seconds(self, prices: Prices) -> float:
        """All of them at these prices."""
        return self.full * prices.full + self.loss * prices.loss + self.saves * prices.save


NOTHING = Due()
START = TrainingPosition()


def rules_of(schedule: ScheduleSettings, total_steps: int, epoch_steps: int, *, evaluates: bool) -> Rules:
    """The schedule of a training; `evaluates`: there is an evaluation set.

    Raises:
        ValueError: a frequency cannot be read.
    """
    full, loss = parse_frequency(schedule.eval_every), parse_frequency(schedule.fast_eval_every)
    save = parse_frequency(schedule.checkpoint_every)
    save_steps = frequency_steps(save, epoch_steps)
    never = save_steps is None and save.seconds is None
    if schedule.save_only_best and evaluates:
        save_steps = None
    return Rules(
        full_steps=frequency_steps(full, epoch_steps) if evaluates else None,
        full_seconds=full.seconds if evaluates else None,
        loss_steps=frequency_steps(loss, epoch_steps) if evaluates else None,
        loss_seconds=loss.seconds if evaluates else None,
        save_steps=save_steps,
        save_seconds=save.seconds,
        first_save=None if never else first_save_step(total_steps, save_steps),
        share=schedule.eval_share,
        only_best=schedule.save_only_best and evaluates,
        best_by_loss=schedule.best_by == "loss",
    )
