"""Peaks on CUDA are those of the kernel that attention takes there, with and without padding."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.capability import Capability
from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.peak_model import MemoryBreakdown, MemoryRequest, MemorySurface
from tests.engine.memory.real import request
from tests.engine.memory.test_real_peaks import DEEP, LLAMA

GROUPED = LLAMA
UNGROUPED = {**LLAMA, "num_key_value_heads": 4}
TOKENS, HEADS, LAYERS = 96, 4, 2


@functools.cache
def _surface(encoded: bytes) -> MemorySurface:
    return surface(msgspec.json.decode(encoded, type=MemoryRequest))


def on_cuda(
    architecture: dict[str, Any], *, masked: bool = True, capability: Capability | None = None, **more: Any
) -> MemorySurface:
    asked = request(architecture, tokens=TOKENS, method="full", **more)
    on_device = msgspec.structs.replace(asked, device="cuda", masked=masked, capability=capability)
    return _surface(msgspec.json.encode(on_device))


def peak(architecture: dict[str, Any], micro: int, **more: Any) -> MemoryBreakdown:
    return on_cuda(architecture, **more).breakdown(micro, accumulates=True)


def scores(micro: int, element_bytes: int) -> int:
    """Of all layers."""
    return LAYERS * micro * HEADS * TOKENS * TOKENS * element_bytes


@pytest.mark.parametrize("micro", [1, 2, 8, 32])
def test_grouped_heads_in_float32_keep_their_scores(micro: int) -> None:
    """Without a mask no kernel takes them, so that a micro-batch without padding needs the most."""
    grouped, ungrouped = (peak(heads, micro).activations_bytes for heads in (GROUPED, UNGROUPED))
    assert grouped - ungrouped > scores(micro, 4) / LAYERS  # the last layer's at least, in the forward pass
    bare = peak(GROUPED, micro, masked=False).total_bytes
    assert peak(GROUPED, micro).total_bytes >= bare


@pytest.mark.parametrize("micro", [1, 2, 8, 32])
def test_half_precision_keeps_no_scores_and_without_a_mask_nothing_of_it(micro: int) -> None:
    masked, bare = (peak(GROUPED, micro, masked=masked, bf16=True) for masked in (True, False))
    single = on_cuda(GROUPED, bf16=True).breakdown(1, accumulates=True)
    float32 = peak(GROUPED, micro).activations_bytes
    assert max(masked.activations_bytes, bare.activations_bytes) < float32
    if micro == 1:  # one row has no padding, and so no mask
        assert masked == single
        return
    assert masked.activations_bytes - bare.activations_bytes >= micro * TOKENS * TOKENS * 2  # a layer's own


def test_a_device_without_flash_keeps_scores_in_half_precision() -> None:
    """T4 and V100: without a mask no kernel of theirs takes grouped heads, and bfloat16 none takes at all."""
    for architecture, half in ((GROUPED, {"fp16": True}), (UNGROUPED, {"bf16": True})):
        old, new = (on_cuda(architecture, masked=False, capability=c, **half) for c in ((7, 5), (9, 0)))
        for micro in (1, 8):
            kept = [surface.breakdown(micro, accumulates=True).activations_bytes for surface in (old, new)]
            assert kept[0] - kept[1] > scores(micro, 2) / LAYERS


def test_it_is_the_larger_of_padded_and_not() -> None:
    both, bare = (on_cuda(GROUPED, masked=masked) for masked in (True, False))
    for micro in range(2, 40):
        for accumulates in (True, False):
            assert both.peak_bytes(micro, accumulates=accumulates) >= bare.peak_bytes(micro, accumulates=accumulates)


def test_a_pack_of_one_sample_needs_the_most_of_grouped_heads_in_float32_and_few_layers_tell() -> None:
    asked = request(DEEP, tokens=TOKENS, method="full")
    data = msgspec.structs.replace(asked.settings.data, packing=True, max_length=TOKENS)
    packed = msgspec.structs.replace(asked, device="cuda", settings=msgspec.structs.replace(asked.settings, data=data))
    found = surface(packed)
    assert found.layers == (2, 4)
    for micro in (1, 4):
        shallow = peak(GROUPED, micro, masked=False).activations_bytes
        added = found.breakdown(micro, accumulates=True).activations_bytes - shallow
        assert added > (DEEP["num_hidden_layers"] - LAYERS) * scores(micro, 4) / LAYERS


@pytest.mark.parametrize("masked", [True, False])
def test_what_checkpointing_computes_again_takes_the_same_kernel(masked: bool) -> None:
    kept, recomputed = (
        peak(GROUPED, 8, masked=masked, gradient_checkpointing=checkpointing).activations_bytes
        for checkpointing in (False, True)
    )
    assert recomputed < kept
    assert recomputed > scores(8, 4) / LAYERS / 2  # those of the layer that is computed again
