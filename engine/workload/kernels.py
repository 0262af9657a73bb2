"""Which kernel scaled_dot_product_attention takes on CUDA, as far as memory and speed hang on it.

By torch's own conditions (aten/src/ATen/native/transformers/cuda/sdp_utils.cpp, 2.13) for dense inputs of four
dimensions: flash takes half precision on compute capability 8.0 and later, heads of up to 256, grouped key-value heads
and no mask; the memory-efficient kernel takes any precision (before 8.0 no bfloat16) and a mask, and no grouped heads;
what neither takes is done by plain operations, which keep each layer's scores, (rows, heads, sequence, sequence), for
the backward pass.
cuDNN's kernel, which comes first on 9.x and 10.x, takes what flash takes, and a mask besides, and keeps what flash
keeps. From a later release on the memory-efficient kernel takes grouped heads too (pytorch pull request 191085): less
is needed then.

transformers hands over grouped heads as they are where there is no mask, and repeats them where there is one
(integrations/sdpa_attention.py: use_gqa_in_sdpa).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from speedtui.engine.config.capability import FLASH, TENSOR_CORES, TF32, Capability
from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.model import own_attention_of
from speedtui.engine.workload.precision import autocast_dtype
from speedtui.engine.workload.pretrained import DTYPES

AttentionKernel = Literal["flash", "efficient", "math"]
MOST_FLASH = 256
"""Elements of a head."""
ALIGNED_BYTES = 16
"""Of a head, which the memory-efficient kernel loads at once where it multiplies on tensor cores."""
HALF = (torch.float16, torch.bfloat16)


def kernel_on_cuda(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None,
    capability: Capability = FLASH,
) -> AttentionKernel:  # fmt: skip
    """(rows, heads, sequence, head), keys and values of fewer heads. `capability`: the device's."""
    head, value_head = query.shape[-1], value.shape[-1]
    alike = query.ndim == key.ndim == 4 and query.dtype == key.dtype == value.dtype
    if alike and mask is None and head == key.shape[-1] == value_head <= MOST_FLASH and _has_flash(query, capability):
        return "flash"
    known = alike and query.dtype in (torch.float32, torch.float16, *((torch.bfloat16,) if capability >= FLASH else ()))
    ungrouped = query.shape[1] == key.shape[1] == value.shape[1]
    unit = _alignment(query.dtype, capability)
    learned = mask is not None and mask.requires_grad
    if known and ungrouped and head == key.shape[-1] and not (head % unit or value_head % unit or learned):
        return "efficient"
    return "math"


def _has_flash(query: torch.Tensor, capability: Capability) -> bool:
    return query.dtype in HALF and capability >= FLASH


def _alignment(dtype: torch.dtype, capability: Capability) -> int:
    """Elements of which a head of the memory-efficient kernel is a multiple (minimum_gemm_alignment)."""
    on_tensor_cores = capability >= (TENSOR_CORES if dtype in HALF else TF32)
    return ALIGNED_BYTES // dtype.itemsize if on_tensor_cores else 1


def fast_without_mask(base: Any, settings: Settings, device: torch.device) -> bool:
    """Whether a model's attention has a better kernel on this CUDA device without a mask than with one.

    It has not where keys and values are grouped and flash cannot be taken: without a mask the grouped heads leave plain
    operations alone.
    """
    if attention_of(base, settings) != "sdpa":
        return False
    half = attention_dtype(base, settings) in HALF
    return (half and torch.cuda.get_device_capability(device) >= FLASH) or not _grouped(base.config)


def attention_of(base: Any, settings: Settings) -> str:
    """The implementation that a transformers model runs with under these settings; empty where it has none to name."""
    if not getattr(getattr(base, "config", None), "_attn_implementation", None):
        return ""
    return own_attention_of(base) if settings.model.attention == "auto" else settings.model.attention


def attention_dtype(base: Any, settings: Settings) -> torch.dtype | None:
    """What queries and keys are computed in with these settings; None where a recipe's model does not say it.

    Whatever the loaded model is in now: these may be the settings of a candidate that it is loaded anew for. What is
    not quantized of a quantized model is float32, and its layers give back what they are given.
    """
    model = settings.model
    if model.kind == "python":
        return autocast_dtype(settings.train) or getattr(base, "dtype", None)
    return autocast_dtype(settings.train) or (torch.float32 if model.quantize != "none" else DTYPES[model.dtype])


def attends_by_sdpa(base: nn.Module) -> bool:
    """Whether torch chooses the kernel of this model's attention, or may: of a model that names none nobody knows."""
    own = getattr(getattr(base, "config", None), "_attn_implementation", None)
    return own in (None, "sdpa")


def _grouped(config: Any) -> bool:
    text = config.get_text_config()
    heads = getattr(text, "num_attention_heads", None)
    return getattr(text, "num_key_value_heads", None) not in (None, heads)
