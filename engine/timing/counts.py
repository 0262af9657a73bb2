"""How many steps, evaluations and checkpoints a run has: the arithmetic of the trainer and its schedule."""

from __future__ import annotations

import math

import msgspec

from speedtui.engine.config.frequency import Frequency
from speedtui.engine.config.settings import Settings


class StepCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Of a run over a dataset of known size."""

    rows: int
    micro_batch_size: int
    accumulation: int
    total_steps: int

    @property
    def epoch_batches(self) -> int:
        """Micro-batches of an epoch; the last may have fewer rows."""
        return max(math.ceil(self.rows / self.micro_batch_size), 1)

    @property
    def epoch_steps(self) -> int:
        """Steps of an epoch; the last may have fewer micro-batches."""
        return max(math.ceil(self.epoch_batches / self.accumulation), 1)

    @property
    def whole_epochs(self) -> int:
        """Epochs that are trained to their end."""
        return self.total_steps // self.epoch_steps

    @property
    def last_batches(self) -> int:
        """Micro-batches of the epoch that is left before its end; 0 where there is none."""
        return min(self.total_steps % self.epoch_steps * self.accumulation, self.epoch_batches)

    @property
    def epochs(self) -> int:
        """Epochs that are begun."""
        return self.whole_epochs + (self.last_batches > 0)


def count_steps(
    rows: int, micro_batch_size: int, effective_batch_size: int, *, epochs: float, max_steps: int | None
) -> StepCounts:
    """As transformers counts them: `max_steps`, or the epochs' worth of `rows` samples."""
    accumulation = max(effective_batch_size // micro_batch_size, 1)
    counts = StepCounts(
        rows=rows, micro_batch_size=micro_batch_size, accumulation=accumulation, total_steps=max_steps or 0
    )
    if max_steps is not None:
        return counts
    return msgspec.structs.replace(counts, total_steps=math.ceil(epochs * counts.epoch_steps))


def counts_of(settings: Settings, rows: int) -> StepCounts:
    """Steps of the run over so many samples or packs."""
    train = settings.train
    return count_steps(
        rows, train.micro_batch_size, train.effective_batch_size, epochs=train.epochs, max_steps=train.max_steps
    )


EARLY_STEPS, EARLY_SHARE = 20, 0.1
"""The first checkpoint comes after so many steps, or this share of a short run: soon enough that a disk that takes none
is found out before much is lost, late enough that the optimizer has its state."""


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
