"""Predicted peaks against those of real steps, in small."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.peak_model import MemoryRequest, MemorySurface
from tests.engine.memory.real import real_peak, request

ABOVE, BELOW = 0.03, 0.02
"""How far a prediction may be off; what is predicted too low ends a trial."""

LLAMA: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
DEEP = {**LLAMA, "num_hidden_layers": 7}
T5: dict[str, Any] = {
    "model_type": "t5", "vocab_size": 512, "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 2,
    "num_decoder_layers": 2, "num_heads": 4,
}  # fmt: skip

FULL = request(LLAMA, tokens=96, method="full")
LORA = request(LLAMA, tokens=96, method="lora", lora=LoraSettings(r=8))
SEQ2SEQ = request(T5, tokens=64, targets=24, kind="seq2seq", method="full")


def predicted(asked: MemoryRequest) -> MemorySurface:
    """Each once for all tests."""
    return _predicted(msgspec.json.encode(asked))


@functools.cache
def _predicted(encoded: bytes) -> MemorySurface:
    return surface(msgspec.json.decode(encoded, type=MemoryRequest))


def with_train(old: MemoryRequest, **train: Any) -> MemoryRequest:
    changed = msgspec.structs.replace(old.settings.train, **train)
    return msgspec.structs.replace(old, settings=msgspec.structs.replace(old.settings, train=changed))


@pytest.mark.parametrize(
    ("asked", "micro", "accumulation"),
    [(FULL, 6, 2), (FULL, 3, 1), (LORA, 6, 2), (LORA, 1, 2), (SEQ2SEQ, 4, 2)],
    ids=["full, accumulating", "full, at once", "lora", "lora, one row", "t5"],
)
def test_the_predicted_peak_is_the_real_one(
    asked: MemoryRequest, micro: int, accumulation: int, tmp_path: Path
) -> None:
    expected = predicted(asked).peak_bytes(micro, accumulates=accumulation > 1)
    real = real_peak(asked, micro, accumulation, tmp_path)
    assert -BELOW <= expected / real - 1 <= ABOVE


def test_a_few_layers_stand_for_many_with_the_same_peaks() -> None:
    asked = request(DEEP, tokens=64, method="full", gradient_checkpointing=True)
    few, whole = surface(asked), surface(asked, whole=True)
    assert few.layers == (2, 4) and whole.layers == ()
    for micro in (1, 2, 5, 32):
        for accumulates in (True, False):
            expected = whole.breakdown(micro, accumulates=accumulates)
            assert few.breakdown(micro, accumulates=accumulates) == expected


def test_an_adapter_for_some_layers_only_has_all_layers_computed() -> None:
    some = LoraSettings(r=8, target_modules=["layers.1.self_attn.q_proj"])
    assert surface(request(DEEP, tokens=16, method="lora", lora=some)).layers == ()


def test_a_larger_rank_raises_the_peak_by_what_it_adds() -> None:
    small, large = (predicted(with_train(LORA, lora=LoraSettings(r=r))).breakdown(4, accumulates=True) for r in (8, 32))
    assert large.total_bytes > small.total_bytes
    per_rank = (large.weights_bytes - small.weights_bytes) / 24
    # two layers; q, k, v, o, gate, up, down: inputs and outputs of each, in float32
    ends = 2 * ((64 + 64) + 2 * (64 + 32) + (64 + 64) + 3 * (64 + 128))
    assert per_rank == 4 * ends
    assert large.gradients_bytes - small.gradients_bytes == 24 * per_rank
    assert large.optimizer_bytes - small.optimizer_bytes == 2 * 24 * per_rank


def test_weights_gradients_and_optimizer_of_full_training_are_one_one_and_two_copies() -> None:
    b = predicted(FULL).breakdown(4, accumulates=True)
    # the embedding, the head, two layers, all in float32; norms are vectors; inverse frequencies are a buffer
    layer = 64 * 64 + 2 * 64 * 32 + 64 * 64 + 3 * 64 * 128 + 2 * 64
    parameters = 4 * (2 * 512 * 64 + 2 * layer + 64)
    assert b.gradients_bytes == parameters
    assert parameters <= b.weights_bytes <= parameters + 1024
    assert 2 * parameters <= b.optimizer_bytes <= 2 * parameters + 1024  # a step count for each tensor


def test_checkpointing_and_bfloat16_weights_each_lower_the_peak() -> None:
    checkpointed = with_train(FULL, gradient_checkpointing=True)
    halved = request(LLAMA, tokens=96, dtype="bfloat16", method="full")
    plain, *lower = (predicted(asked).peak_bytes(16, accumulates=True) for asked in (FULL, checkpointed, halved))
    assert max(lower) < plain


def test_cuda_rounds_each_tensor_up() -> None:
    on_cuda = msgspec.structs.replace(FULL, device="cuda")
    cpu, cuda = (predicted(asked).breakdown(2, accumulates=True).weights_bytes for asked in (FULL, on_cuda))
    assert cuda % 512 == 0
    assert cpu < cuda < cpu + 512 * 30
