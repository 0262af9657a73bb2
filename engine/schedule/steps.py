"""How many steps a run has: the arithmetic of the trainer."""

from __future__ import annotations

import math

import msgspec

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
