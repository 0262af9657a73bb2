"""Tensors without memory in the place of a model's weights and of a micro-batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from speedtui.engine.memory import fake_values
from speedtui.engine.workload.quantized import carry_scales


def replace_tensors(model: nn.Module) -> None:
    """Puts a fake CPU tensor in the place of every parameter and buffer; inside a FakeTensorMode only.

    Tied ones stay tied. peft cannot wrap a model inside the mode ("Couldn't swap"), so a model is built and wrapped
    on the meta device first.
    """
    made: dict[int, torch.Tensor] = {}
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None and id(tensor) not in made:
                    made[id(tensor)] = _fake(tensor)
                    carry_scales(tensor, made[id(tensor)], _fake)
                if tensor is not None:
                    held[name] = made[id(tensor)]  # type: ignore[assignment]


def _fake(tensor: torch.Tensor) -> torch.Tensor:
    empty = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="cpu")
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty


def fake_batch(batch: Any) -> Any:
    """The micro-batch as fake CPU tensors whose values are known; inside a FakeTensorMode only."""
    if isinstance(batch, torch.Tensor):
        fake = torch.empty_strided(batch.size(), batch.stride(), dtype=batch.dtype, device="cpu")
        if batch.numel() <= fake_values.LIMIT and batch.device.type == "cpu":
            fake_values.know(fake, batch)
        return fake
    if isinstance(batch, Mapping):
        return {key: fake_batch(value) for key, value in batch.items()}
    if isinstance(batch, list | tuple):
        return type(batch)(fake_batch(value) for value in batch)
    return batch
