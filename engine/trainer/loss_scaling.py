"""What the scaler of float16's gradients did with a step, without waiting for the device."""

from __future__ import annotations

import torch

UNSCALED = 1.0
"""A probe begins with this scale: with torch's own, 65,536, its first steps would be left out while the scale is found,
and with them the optimizer's time and its state's memory."""


class LossScaling:
    """Watches a `torch.amp.GradScaler`; where there is none it has nothing to say."""

    def __init__(self, scaler: torch.amp.GradScaler | None, first: float | None) -> None:
        """`first`: the scale to begin with; None leaves it to the scaler."""
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._before: torch.Tensor | None = None
        if self._scaler is not None and first is not None:
            self._scaler.load_state_dict({**self._scaler.state_dict(), "scale": first})

    def before_step(self) -> None:
        """The gradients are there, and the scaler decides next."""
        scale = self._scale()
        self._before = scale.clone() if scale is not None else None

    def after_step(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """(the scale of this step's gradients, the next one's relative to it): float32 scalars on the device.

        Below 1 the step was left out: a gradient was NaN or infinite. None without a scaler.
        """
        scale, before = self._scale(), self._before
        return (before, scale / before) if scale is not None and before is not None else None

    def _scale(self) -> torch.Tensor | None:
        """The tensor itself, which the scaler changes in place: its `get_scale` waits for the device."""
        return self._scaler._scale if self._scaler is not None else None
