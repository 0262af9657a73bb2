"""What decides a predicted peak: the model, its optimizer, its data, the device."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import DataSettings, LoraSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.memory.batch import batches_of
from speedtui.engine.memory.build import build_model, config_of
from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.trace import trace_step
from tests.engine.memory.real import request

LLAMA: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
CLOSE = 0.001
"""Relative: a few scalars are held here and not there."""


def test_layers_that_are_not_alike_are_not_taken_for_alike() -> None:
    kinds = ["full_attention" if i in (3, 4, 9) else "sliding_attention" for i in range(10)]
    mixed = {**LLAMA, "model_type": "qwen2", "num_hidden_layers": 10, "layer_types": kinds, "use_sliding_window": True}
    assert surface(request(mixed, tokens=16)).layers == ()


def test_a_line_through_two_micro_batches_meets_a_third() -> None:
    lora = request(LLAMA, tokens=32)
    predicted = surface(lora).peak_bytes(9, accumulates=True)
    config = config_of(lora)
    trace = trace_step(
        build_model(config, lora.settings.model), batches_of(lora, config.vocab_size)(9), lora.settings, "cpu"
    )
    assert predicted == max(sum(held) for points in trace.accumulating.values() for held in points)


def test_tied_embeddings_count_once() -> None:
    def breakdown(tied: bool) -> Any:
        tying = {**LLAMA, "tie_word_embeddings": tied}
        return surface(request(tying, tokens=32, method="full")).breakdown(4, accumulates=True)

    tied, untied = breakdown(True), breakdown(False)
    embeddings = 512 * 64 * 4
    assert untied.weights_bytes - tied.weights_bytes == embeddings
    assert untied.gradients_bytes - tied.gradients_bytes == embeddings
    assert untied.optimizer_bytes - tied.optimizer_bytes == pytest.approx(2 * embeddings, abs=16)


def test_logits_are_whole_tensors_over_the_vocabulary() -> None:
    full = surface(request(LLAMA, tokens=64, method="full")).breakdown(8, accumulates=True)
    assert full.logits_bytes % (8 * 64 * 512 * 4) == 0 and full.logits_bytes > 0


def test_without_an_earlier_micro_batch_no_gradients_are_held_while_logits_are() -> None:
    full = surface(request(LLAMA, tokens=128, method="full"))
    at_once, accumulating = (full.breakdown(8, accumulates=a) for a in (False, True))
    assert at_once.gradients_bytes == 0 < accumulating.gradients_bytes
    assert at_once.total_bytes < accumulating.total_bytes


def test_packs_are_as_long_as_the_limit_and_have_a_mask_between_samples() -> None:
    plain = request(LLAMA, tokens=64)
    packing = msgspec.structs.replace(plain.settings, data=DataSettings(max_length=64, packing=True))
    packed = surface(msgspec.structs.replace(plain, settings=packing))
    assert packed.peak_bytes(1, accumulates=True) > surface(plain).peak_bytes(1, accumulates=True)


def test_what_the_model_cannot_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match="no_such_layer"):
        surface(request(LLAMA, tokens=16, lora=LoraSettings(target_modules=["no_such_layer"])))
