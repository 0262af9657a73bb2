"""Leaves out an attention mask that only keeps a causal model from looking at padding behind its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from peft import PeftModel
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.evaluate.answering import base_of
from speedtui.engine.trainer.loaders import to_device
from speedtui.engine.trainer.measure_loss import OFF, OFF_HALF, router_configs, two_rows, unchanged
from speedtui.engine.workload.base import Collator, Workload
from speedtui.engine.workload.collate import MASK, PadRight
from speedtui.engine.workload.failures import is_the_devices
from speedtui.engine.workload.float32 import float32_precision
from speedtui.engine.workload.kernels import fast_without_mask
from speedtui.engine.workload.model import loss_of, set_attention
from speedtui.engine.workload.quantized import multiplies_in_half

_KEPT = "speedtui_needless_mask"
"""Attribute of a model's base: what was found, so that it is measured once and not in each trial."""


def runs_without_mask(model: nn.Module, workload: Workload, settings: Settings, device: torch.device) -> bool:
    """Whether the model is run without the mask of its micro-batches with these settings.

    With padding on the right no token of a causal model looks at padding, and padding is in no loss. That a model keeps
    to that is measured, see `_proved`: of its base, whatever adapter it has now, so that what is predicted before there
    is one, a trial and the training all find the same. It is made use of on CUDA alone, where attention without a mask
    has a kernel that is faster and keeps nothing of a mask, as far as `fast_without_mask` says so. Not where steps are
    compiled: then transformers makes a mask in any case (masking_utils.find_packed_sequence_indices).

    `model`: with or without an adapter, in whatever precision it is loaded now; `workload`: with the data of these
    settings.
    """
    collator = workload.collator
    if device.type != "cuda" or settings.train.compile or not isinstance(collator, PadRight):
        return False
    base = base_of(model)
    if not fast_without_mask(base, settings, device):
        return False
    known = proof_of(base)
    if known is None:
        with float32_precision(device, tf32=False):  # whichever trial is the first
            known = _proved(model, base, workload.train_dataset, collator)
        keep_proof(base, known)
    return bool(known)


def proof_of(model: nn.Module) -> bool | None:
    """What was measured of this model: whether the mask of its padding changes nothing; None where nothing was yet."""
    known: bool | None = vars(base_of(model)).get(_KEPT)
    return known


def keep_proof(model: nn.Module, known: bool | None) -> None:
    """Notes it; also of the same model loaded anew in another precision."""
    setattr(base_of(model), _KEPT, known)


def without_mask(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The micro-batch without its mask."""
    return {name: value for name, value in batch.items() if name != MASK}


def _proved(model: nn.Module, base: nn.Module, dataset: Any, collator: Collator) -> bool | None:
    """Whether two rows, one with much padding, have the same loss and gradient with the mask and without.

    Not where a router has a balancing loss: that counts padding where no mask tells it, by less than half precision
    shows; nor where it cannot be measured. None where only the device failed. Weights, gradients, random numbers and
    modes stay as they are.
    """
    if router_configs(base):
        return False
    try:
        batch = collator(list(two_rows(dataset, collator)))
        if bool(batch[MASK].all()):
            return False
        with unchanged(model, gradients=True), _bare(model), _by_sdpa(base):
            masked, bare = (_loss_and_gradient(model, base, inputs) for inputs in (batch, without_mask(batch)))
    except Exception as error:  # the training's first step will say it better, if it fails there too
        return None if is_the_devices(error) else False
    off = OFF_HALF if multiplies_in_half(base) else OFF
    return all(_same(a, b, off) for a, b in zip(masked, bare, strict=True))


def _bare(model: nn.Module) -> Any:
    """The model without what its adapter adds."""
    return model.disable_adapter() if isinstance(model, PeftModel) else nullcontext()


@contextmanager
def _by_sdpa(base: Any) -> Iterator[None]:
    """The implementation of attention that can go without, whichever the last trial had."""
    before = base.config._attn_implementation
    set_attention(base, "sdpa")
    try:
        yield
    finally:
        set_attention(base, before)


def _loss_and_gradient(model: nn.Module, base: Any, batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """(loss, its gradient by what the embeddings give), one vector each, float32, on the model's device.

    The embeddings' output is where all that a model reads comes in: also of one that is frozen, or quantized.
    """
    given: list[torch.Tensor] = []

    def leaf(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
        given.append(output.detach().requires_grad_())
        return given[-1]

    embeddings = base.get_input_embeddings()
    device = embeddings.weight.device
    with ExitStack() as stack:
        stack.callback(embeddings.register_forward_hook(leaf).remove)
        loss = loss_of(model(**{name: to_device(value, device) for name, value in batch.items()}))
    if loss is None:
        raise ValueError("in evaluation mode its forward gives no loss")
    found = torch.autograd.grad(loss, given)
    return loss.detach().float().reshape(1), torch.cat([gradient.reshape(-1).float() for gradient in found])


def _same(a: torch.Tensor, b: torch.Tensor, off: float) -> bool:
    """By the norm of what is between them; not where one of them is not finite, or nothing."""
    return bool((a - b).norm() <= off * a.norm()) and bool(a.norm() > 0)
