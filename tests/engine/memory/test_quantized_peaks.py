"""Peaks of base models in 4 and 8 bits, predicted against those of real steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import DataSettings, LoraSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.build import build_model, config_of
from speedtui.engine.memory.compute import surface
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.memory.prediction_cache import key_of_request
from speedtui.engine.memory.worker import answer
from speedtui.engine.workload.base import Workload, silent
from speedtui.engine.workload.load import load_workload
from speedtui.engine.workload.quantized import held_tensors, parameter_count
from tests.engine.memory.real import CPU, peak_of
from tests.engine.memory.sides import asked, sized
from tests.engine.memory.test_real_peaks import ABOVE, BELOW

QWEN: dict[str, Any] = {
    "model_type": "qwen2", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip
"""With biases, which are cast in place."""
DEEP = {**QWEN, "num_hidden_layers": 7}
"""Computed from few layers."""
T5: dict[str, Any] = {
    "model_type": "t5", "vocab_size": 512, "d_model": 64, "d_ff": 128, "d_kv": 16, "num_layers": 1,
    "num_decoder_layers": 1, "num_heads": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    row = {"prompt": " ".join(f"w{i}" for i in range(20)), "response": "a b c d " * 8}
    file.write_text("\n".join([json.dumps(row)] * 8) + "\n")
    return file


def loaded(rows: Path, architecture: dict[str, Any], quantize: str, **train: Any) -> tuple[Settings, Workload]:
    kind = "seq2seq" if architecture is T5 else "causal-lm"
    settings = Settings(
        model=ModelSettings(architecture=architecture, kind=kind, quantize=quantize),  # type: ignore[arg-type]
        data=DataSettings(train=str(rows), prompt="prompt", response="response", max_length=96),
        train=TrainSettings(lora=LoraSettings(r=4), **train),
    )
    return settings, load_workload(settings, device=CPU, report=silent)


@pytest.mark.parametrize(
    ("architecture", "quantize", "train"),
    [
        (DEEP, "nf4", {}),
        (QWEN, "nf4", {"bf16": True, "gradient_checkpointing": True}),
        (QWEN, "int8", {"bf16": True, "gradient_checkpointing": True}),
        (T5, "nf4", {}),
    ],
    ids=["nf4, deep", "nf4, bf16, recomputed", "int8, bf16, recomputed", "nf4, t5"],
)
def test_the_predicted_peak_is_the_real_one(
    rows: Path, architecture: dict[str, Any], quantize: str, train: dict[str, Any], tmp_path: Path
) -> None:
    settings, workload = loaded(rows, architecture, quantize, **train)
    predicted = surface(asked(settings, workload))
    assert bool(predicted.layers) is (architecture is DEEP)
    real = peak_of(workload, sized(settings, 3, 2), tmp_path)
    assert -BELOW <= predicted.peak_bytes(3, accumulates=True) / real - 1 <= ABOVE


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_an_empty_model_holds_what_a_loaded_one_does_to_the_byte(rows: Path, quantize: str) -> None:
    settings, workload = loaded(rows, QWEN, quantize)
    empty = build_model(config_of(asked(settings, workload)), settings.model)
    assert {t.device.type for t in held_tensors(empty)} == {"meta"}
    assert parameter_count(empty.parameters()) == parameter_count(workload.model.parameters())
    real, predicted = (
        sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in held_tensors(model)}.values())
        for model in (workload.model, empty)
    )
    assert predicted == real


@pytest.fixture(scope="module")
def request_of(rows: Path) -> Any:
    def make(quantize: str, device: str = "cpu") -> MemoryRequest:
        settings, workload = loaded(rows, QWEN, quantize)
        return msgspec.structs.replace(asked(settings, workload), device=device)

    return make


def test_on_a_gpu_4_bits_are_predicted_and_8_bits_are_not_with_the_reason(request_of: Any) -> None:
    assert surface(request_of("nf4", "cuda")).peak_bytes(2, accumulates=True) > 0
    found = answer(request_of("int8", "cuda"))
    assert "outliers" in found.prediction.outcome.reason
    assert found.lasting


def test_predictions_of_other_bits_are_kept_apart(request_of: Any) -> None:
    assert len({key_of_request(request_of(quantize)) for quantize in ("none", "nf4", "int8")}) == 3


def test_weights_that_are_stored_quantized_are_not_predicted_as_whole_ones(request_of: Any, tmp_path: Path) -> None:
    stored = {"quant_method": "gptq", "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps({**QWEN, "quantization_config": stored}))
    request = request_of("none")
    model = ModelSettings(path=str(tmp_path))
    found = answer(msgspec.structs.replace(request, settings=msgspec.structs.replace(request.settings, model=model)))
    assert "stored in gptq" in found.prediction.outcome.reason
