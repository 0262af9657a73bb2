"""What the probes of one trial need: its model and data, its settings, and how to look whether it is to end."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.workload.base import Workload

MICRO_STEPS = 2
"""Micro-steps in a probe's step where there is accumulation: one writes the gradients, one adds to them."""


class ProbeSetup(msgspec.Struct, frozen=True, kw_only=True):
    """What both probes of a trial need."""

    context: JobContext
    workload: Workload
    model: nn.Module
    """As it is trained: with its adapter, if any."""
    settings: Settings
    """With the candidate's in them."""
    device: torch.device
    trial: int
    check: Callable[[], None]
    """Called at every step boundary; raises to end the trial."""
    eval_rows: int | None = None
    """Of an evaluation batch, where it is known what fits; None takes what the settings ask for."""
    flops: ModelFlops | None = None
    """The model's operations beside the device's peak; None where they are not known."""

    @property
    def accumulation(self) -> int:
        """Micro-batches an optimizer step of the training."""
        return self.settings.train.effective_batch_size // self.settings.train.micro_batch_size

    @property
    def probe_accumulation(self) -> int:
        """Micro-batches an optimizer step of a probe."""
        return min(self.accumulation, MICRO_STEPS)
