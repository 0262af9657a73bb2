"""What a CUDA device has by its compute capability: each fact once, with its source. Nothing here asks a device."""

from __future__ import annotations

Capability = tuple[int, int]
"""Of CUDA, such as (9, 0)."""

TENSOR_CORES: Capability = (7, 0)
"""From which on it multiplies float16 by units of their own (CUDA C++ Programming Guide, compute capabilities)."""
TRITON: Capability = (7, 0)
"""From which on torch compiles for it by Triton, in which liger's kernels are written (torch.utils._triton)."""
PRODUCTS_OF_8_BITS: Capability = (7, 5)
"""From which on it multiplies int8 by units of their own, as bitsandbytes' installation guide has it."""
BFLOAT16: Capability = (8, 0)
"""From which on it computes in bfloat16 by itself (CUDA C++ Programming Guide); older ones do it by way of float32."""
TF32: Capability = (8, 0)
"""From which on it multiplies float32 on tensor cores where it is asked to (the same)."""
FLASH: Capability = (8, 0)
"""From which on torch has flash attention for it, and its memory-efficient kernel takes bfloat16 (sdp_utils.cpp)."""


def has(capability: Capability | None, least: Capability) -> bool | None:
    """Whether a device of this capability has what begins with `least`; None where its capability is not known."""
    return None if capability is None else tuple(capability) >= least


def words(capability: Capability) -> str:
    """Such as `7.5`."""
    return ".".join(map(str, capability))
