"""How many optimizer steps a training has."""

from __future__ import annotations

import math

from speedtui.engine.config.settings import Settings


def steps_per_epoch(settings: Settings, rows: int) -> int:
    """As transformers counts them: a last step with fewer micro-batches is a step. `rows`: samples, or packs."""
    micro = settings.train.micro_batch_size
    accumulation = settings.train.effective_batch_size // micro
    return max(math.ceil(math.ceil(rows / micro) / accumulation), 1)


def training_steps(settings: Settings, rows: int) -> int:
    """`train.max_steps`, or the epochs' worth of `rows` samples or packs."""
    if settings.train.max_steps is not None:
        return settings.train.max_steps
    return math.ceil(settings.train.epochs * steps_per_epoch(settings, rows))
