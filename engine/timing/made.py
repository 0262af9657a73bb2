"""What a training has made so far, in counts."""

from __future__ import annotations

import msgspec


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """Of a whole run, all its workers together."""

    steps: int
    epoch_steps: int
    """Steps of an epoch."""
    full: int = 0
    """Full evaluations."""
    loss: int = 0
    """Evaluations of the loss alone."""
    saves: int = 0
    """Checkpoints, without the final model."""
