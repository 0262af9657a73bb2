"""What an optimizer holds, by its kind and the device it works on."""

from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.config.settings import LoraSettings
from speedtui.engine.memory.compute import surface
from tests.engine.memory.real import request

LLAMA = {
    "model_type": "llama", "vocab_size": 512, "hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


def test_an_8_bit_state_is_a_quarter_of_a_32_bit_one_where_tensors_are_large() -> None:
    def optimizer(name: str) -> int:
        lora = LoraSettings(r=64)  # each half of an adapter has 4096 elements or more
        return (
            surface(request(LLAMA, tokens=16, optimizer=name, lora=lora)).breakdown(2, accumulates=True).optimizer_bytes
        )

    assert optimizer("adamw_bnb_8bit") == pytest.approx(optimizer("adamw_torch") / 4, rel=0.1)


def test_on_a_gpu_adamw_works_on_all_tensors_at_once() -> None:
    full = request(LLAMA, tokens=8, method="full", optimizer="adamw_torch")
    on_gpu = surface(msgspec.structs.replace(full, device="cuda")).breakdown(2, accumulates=False)
    assert on_gpu.activations_bytes == pytest.approx(on_gpu.gradients_bytes, rel=0.02)  # roots of the second moments
    assert on_gpu.total_bytes > surface(full).peak_bytes(2, accumulates=False)
