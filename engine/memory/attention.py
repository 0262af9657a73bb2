"""Attention as CUDA computes it, on fake CPU tensors."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from speedtui.engine.config.capability import Capability
from speedtui.engine.workload.kernels import kernel_on_cuda

BIAS_UNIT = 16
"""Elements to which the memory-efficient kernel has the rows of a mask padded (pad_bias in
aten/src/ATen/native/transformers/attention.cpp)."""


class CudaAttention:
    """Has scaled_dot_product_attention hold what it holds on CUDA: a CPU takes other kernels for the same tensors.

    See `workload.kernels` for which. Work space that a kernel takes for a moment, fake tensors do not have. It takes
    the place of torch's own function: autograd leaves torch's function modes behind, and with one what checkpointing
    computes again would take another kernel than the forward pass did.
    """

    def __init__(self, capability: Capability) -> None:
        """`capability`: the device's, which decides on the kernels that there are."""
        self._capability = capability
        self.keeps_scores = False
        """Some attention was done by plain operations, which keep all scores."""
        self._own = functional.scaled_dot_product_attention

    def __enter__(self) -> None:
        functional.scaled_dot_product_attention = self._attend

    def __exit__(self, *_: object) -> None:
        functional.scaled_dot_product_attention = self._own

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> torch.Tensor:  # fmt: skip
        query, key, value = map(_cast, (query, key, value))
        mask = attn_mask if attn_mask is None or attn_mask.dtype == torch.bool else _cast(attn_mask)
        kernel = kernel_on_cuda(query, key, value, mask, self._capability)
        aten: Any = torch.ops.aten
        with torch.autocast("cpu", enabled=False):
            if kernel == "flash":
                found = aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)
                return found[0]  # type: ignore[no-any-return]  # torch.ops is untyped
            if kernel == "efficient":
                bias = None if mask is None else _bias(mask, query, key)
                found = aten._scaled_dot_product_efficient_attention(
                    query, key, value, bias, _needs_gradient(query, key, value), dropout_p, is_causal, scale=scale
                )
                return found[0]  # type: ignore[no-any-return]
            self.keeps_scores = True
            found = aten._scaled_dot_product_attention_math(
                query, key, value, mask, dropout_p, is_causal, None, scale=scale, enable_gqa=enable_gqa
            )
            return found[0]  # type: ignore[no-any-return]


def _cast(tensor: torch.Tensor) -> torch.Tensor:
    """As autocast does, on whose list attention is."""
    return tensor.to(torch.get_autocast_dtype("cpu")) if torch.is_autocast_enabled("cpu") else tensor


def _bias(mask: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """What is added to the scores: made anew by each layer, and kept by it."""
    if mask.dtype == torch.bool:
        nothing, minus = (torch.full((), number, dtype=query.dtype) for number in (0.0, -math.inf))
        mask = torch.where(mask, nothing, minus)
    width = mask.shape[-1]
    if width % BIAS_UNIT:
        mask = functional.pad(mask, (0, BIAS_UNIT - width % BIAS_UNIT))[..., :width]
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])


def _needs_gradient(*tensors: torch.Tensor) -> bool:
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
