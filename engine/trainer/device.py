"""The device a job runs on."""

from __future__ import annotations

import torch


def pick_device() -> torch.device:
    """The first visible CUDA device, else the CPU."""
    return torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
