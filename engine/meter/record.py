"""What the training thread leaves of a step until the pump thread looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from speedtui.engine.meter.device import Mark


class MicroStep:
    """What is kept of one micro-batch until the pump thread looks at it."""

    __slots__ = ("batch", "end_ns", "loss", "start_ns")

    def __init__(self, batch: Mapping[str, Any], start_ns: int) -> None:
        self.batch = batch
        self.start_ns = start_ns
        self.end_ns = start_ns
        self.loss: torch.Tensor | None = None


class StepRecord:
    """What the training thread leaves of one optimizer step."""

    __slots__ = (
        "before", "end_ns", "gradient_norm", "lr", "marks", "micro_steps", "peaks", "start_ns", "step", "totals",
    )  # fmt: skip

    def __init__(
        self, step: int, start_ns: int, end_ns: int, before: list[int], totals: list[int],
        micro_steps: list[MicroStep], lr: float | None, marks: list[Mark] | None,
        peaks: tuple[int, int, int] | None, gradient_norm: torch.Tensor | None,
    ) -> None:  # fmt: skip
        self.step = step
        self.start_ns = start_ns
        self.end_ns = end_ns
        self.before = before
        self.totals = totals
        self.micro_steps = micro_steps
        self.lr = lr
        self.marks = marks
        self.peaks = peaks
        self.gradient_norm = gradient_norm
