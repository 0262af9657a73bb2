"""How attention runs in a trial, and in the training with its settings: chosen the same way, told, and put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.trainer.cudnn_attention import choose, cudnn_attention
from speedtui.engine.trainer.needless_mask import runs_without_mask
from speedtui.engine.workload.base import Workload


@contextmanager
def attending(
    context: JobContext, model: nn.Module, workload: Workload, settings: Settings, device: torch.device
) -> Iterator[None]:
    """With cuDNN's kernel where it pays, see `cudnn_attention`; what is not as usual is told once in a run.

    `model`: as it is trained.
    """
    if runs_without_mask(model, workload, settings, device):
        context.tell_once("attention runs without a mask: padding is on the right, and loss and gradient are the same")
    choice = choose(model, workload, settings, device)
    if choice is not None:
        context.tell_once(choice.reason)
    with cudnn_attention(choice.cudnn if choice is not None else None):
        yield
