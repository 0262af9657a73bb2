"""The device a job runs on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def pick_device() -> torch.device:
    """The first visible CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")


def to_device(value: Any, device: torch.device) -> Any:
    """A batch with all tensors in it moved, however they are nested; the CPU does not wait for it."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value
