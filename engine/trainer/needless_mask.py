"""Leaves out an attention mask that only keeps a causal model from looking at padding behind its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.evaluate.answering import base_of
from speedtui.engine.trainer.device import to_device
from speedtui.engine.trainer.measure_loss import OFF, OFF_HALF, router_configs, two_rows, unchanged
from speedtui.engine.workload.base import Collator, Workload
from speedtui.engine.workload.collate import MASK, PadRight
from speedtui.engine.workload.float32 import float32_precision
from speedtui.engine.workload.kernels import HALF, fast_without_mask
from speedtui.engine.workload.model import loss_of

LOOKED_AT = 1 << 24
"""Elements of the gradient that are compared: of the smallest tensors first, so that those of every layer are in it and
no second copy of a large model's gradient is made."""
_KEPT = "speedtui_needless_mask"
"""Attribute of a model's base: what was found, so that it is measured once and not in each trial."""


def runs_without_mask(model: nn.Module, workload: Workload, settings: Settings, device: torch.device) -> bool:
    """Whether the model is run without the mask of its micro-batches with these settings.

    With padding on the right no token of a causal model looks at padding, and padding is in no loss. That a model keeps
    to that is measured, see `_proved`. It is made use of on CUDA alone, where attention without a mask has a kernel
    that is faster and keeps nothing of a mask, as far as `fast_without_mask` says so. Not where steps are compiled:
    then transformers makes a mask in any case (masking_utils.find_packed_sequence_indices).

    `model`: the workload's, with or without an adapter.
    """
    collator = workload.collator
    if device.type != "cuda" or settings.train.compile or not isinstance(collator, PadRight):
        return False
    base = base_of(model)
    if not fast_without_mask(base, settings, device):
        return False
    known: bool | None = vars(base).get(_KEPT)
    if known is None:
        with float32_precision(device, tf32=False):  # whichever trial is the first
            known = _proved(model, base, workload.train_dataset, collator)
        setattr(base, _KEPT, known)
    return bool(known)


def without_mask(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The micro-batch without its mask."""
    return {name: value for name, value in batch.items() if name != MASK}


def _proved(model: nn.Module, base: nn.Module, dataset: Any, collator: Collator) -> bool | None:
    """Whether loss and gradient of two rows, one with much padding, are the same with the mask and without.

    Not where a router has a balancing loss: that counts padding where no mask tells it, by less than half precision
    shows. None where it could not be measured; weights, gradients, random numbers and modes stay as they are.
    """
    if router_configs(base):
        return False
    try:
        batch = collator(list(two_rows(dataset, collator)))
        if bool(batch[MASK].all()):
            return None
        with unchanged(model, gradients=True):
            masked, bare = (_loss_and_gradient(model, inputs) for inputs in (batch, without_mask(batch)))
    except Exception:  # the training's first step will say it better, if it fails there too
        return None
    half = any(parameter.dtype in HALF for parameter in base.parameters())
    return all(_same(a, b, OFF_HALF if half else OFF) for a, b in zip(masked, bare, strict=True))


def _loss_and_gradient(model: nn.Module, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, gradient of the smallest trained tensors), one vector each, float32, on the model's device."""
    chosen = _smallest([parameter for parameter in model.parameters() if parameter.requires_grad])
    device = chosen[0].device
    loss = loss_of(model(**{name: to_device(value, device) for name, value in batch.items()}))
    if loss is None:
        raise ValueError("in evaluation mode its forward gives no loss")
    found = torch.autograd.grad(loss, chosen, allow_unused=True)
    parts = [gradient.reshape(-1).float() for gradient in found if gradient is not None]
    return loss.detach().float().reshape(1), torch.cat(parts)


def _smallest(parameters: Sequence[nn.Parameter]) -> list[nn.Parameter]:
    """As many as have `LOOKED_AT` elements together, at least one."""
    total = 0
    chosen: list[nn.Parameter] = []
    for parameter in sorted(parameters, key=torch.Tensor.numel):
        total += parameter.numel()
        if chosen and total > LOOKED_AT:
            break
        chosen.append(parameter)
    return chosen


def _same(a: torch.Tensor, b: torch.Tensor, off: float) -> bool:
    """By the norm of what is between them; not where one of them is not finite, or nothing."""
    return bool((a - b).norm() <= off * a.norm()) and bool(a.norm() > 0)
