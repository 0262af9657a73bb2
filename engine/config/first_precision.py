"""The precision that a new configuration begins with: by the device, and by how the model's weights are kept."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.capability import BFLOAT16, TENSOR_CORES, Capability
from speedtui.engine.config.settings import Dtype


class FirstPrecision(msgspec.Struct, frozen=True, kw_only=True):
    """What is written, and why."""

    dtype: Dtype = "float32"
    bf16: bool = False
    fp16: bool = False
    reason: str = ""
    """A sentence without its full stop; empty where there is nothing to say."""


PLAIN = FirstPrecision()
"""On the CPU, where half precision gains nothing on most machines."""


def first_precision(stored: str | None, device: str, capability: Capability | None) -> FirstPrecision:
    """For an adapter on a GPU of that name.

    `stored`: the dtype in the model's config.json, None where it is not known. `capability`: the device's, None where
    its driver does not tell.
    """
    if capability is None:
        reason = (
            f"What {device} computes in is not known, so float32 as on the CPU; set bf16 = true where it has bfloat16"
        )
        return FirstPrecision(reason=reason)
    if capability < BFLOAT16:
        if capability < TENSOR_CORES:
            return FirstPrecision(reason=f"{device} has units for float32 alone")
        reason = f"{device} has no bfloat16: the weights stay float32, and are multiplied in float16"
        return FirstPrecision(fp16=True, reason=reason)
    if stored in ("bfloat16", "float16"):
        own = "as in" if stored == "bfloat16" else "in the memory of the float16 of"
        reason = (
            f"{device} computes in bfloat16: so are the weights, {own} the model's config.json, under a float32 adapter"
        )
        return FirstPrecision(dtype="bfloat16", bf16=True, reason=reason)
    kept = "as in the model's config.json" if stored == "float32" else "since the model's own dtype is not known here"
    reason = f"{device} computes in bfloat16: weights stay float32, {kept}, and are multiplied in bfloat16"
    return FirstPrecision(bf16=True, reason=reason)
