"""A model's operations beside the device's peak, counted once for each kind of model that is trained."""

from __future__ import annotations

from typing import get_args

import msgspec
import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.hardware.peaks import Precision, peak_flops
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.flops import NotCounted, count_flops, math_precision
from speedtui.engine.workload.precision import autocast_dtype


class Arithmetic:
    """What the models of a worker compute; nothing on a CPU, of which no peak is known."""

    def __init__(self, context: JobContext, device: torch.device) -> None:
        self._context = context
        self._device = device
        self._counted: dict[tuple[str, ...], ModelFlops] = {}
        self._tried: set[tuple[tuple[str, ...], bool]] = set()

    def forget(self) -> None:
        """Another model was loaded."""
        self._counted, self._tried = {}, set()

    def of(self, model: nn.Module, workload: Workload, settings: Settings) -> ModelFlops | None:
        """Of the model as it is trained, beside the peak for its precision, which is None where nobody has published
        it; None where the operations cannot be counted, which is told once."""
        if self._device.type != "cuda":
            return None
        counted = self._count(model, workload, settings)
        if counted is None:
            return None
        train = settings.train
        precision = math_precision(model, autocast=autocast_dtype(train), tf32=train.tf32)
        known = next((name for name in get_args(Precision) if name == precision), None)
        peak = peak_flops(torch.cuda.get_device_name(self._device), known)
        return msgspec.structs.replace(counted, peak=peak, precision=precision)

    def _count(self, model: nn.Module, workload: Workload, settings: Settings) -> ModelFlops | None:
        """Liger's kernels compute the same and cannot be counted: where another trial was, that is theirs too."""
        key = _key(settings)
        if self._counted.get(key) is None and (key, settings.train.liger) not in self._tried:
            self._tried.add((key, settings.train.liger))
            try:
                self._counted[key] = count_flops(model, workload)
            except NotCounted as error:
                self._context.tell_once(f"MFU is not known: the model's operations cannot be counted: {error}")
        return self._counted.get(key)


def _key(settings: Settings) -> tuple[str, ...]:
    """What the operations of a token depend on besides the model."""
    train = settings.train
    return train.method, repr(train.lora) if train.method == "lora" else "", repr(settings.data)
