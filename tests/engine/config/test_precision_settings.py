"""Precisions that do not go together, or that the device passes over without a word: one clear line each."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.workload.precision import has_bf16, has_tf32, require_device
from tests.simulated_cuda import simulated_cuda

GOOD = Settings(model=ModelSettings(path="tiny"), data=DataSettings(train="t.jsonl", text="text"))
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"train.bf16": True, "train.fp16": True}, r"train\.bf16 and train\.fp16 are both true"),
        ({"train.fp16": True, "train.method": "full", "model.dtype": "float16"}, "its loss scaler divides float32"),
        ({"train.fp16": True, "train.method": "full", "model.dtype": "bfloat16"}, "its loss scaler divides float32"),
        ({"train.tf32": "yes"}, r"train\.tf32: expected true or false, got 'yes'"),
        ({"search.numerics": "other"}, r"search\.numerics: expected one of same, may change, got 'other'"),
        ({"model.attention": "flash_attention_4"}, r"model\.attention: expected one of .*flash_attention_3"),
        ({"model.kind": "python", "model.path": None, "model.recipe": "r.py:f", "train.liger": True}, r"train\.liger"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check(with_values(GOOD, values, "speedtui.toml"), "speedtui.toml")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("half", ["train.bf16", "train.fp16"])
def test_an_adapter_is_trained_under_either_autocast_whatever_its_base_is_kept_in(dtype: str, half: str) -> None:
    candidate = make_candidate(0, {"model.dtype": dtype, half: True}, GOOD, "knobs")
    assert candidate.label.endswith(f"+{half[-4:]} {dtype}")


@pytest.mark.parametrize(
    ("values", "capability", "message"),
    [
        ({"train.fp16": True}, None, r"train\.fp16 needs a GPU"),
        ({"train.tf32": True}, None, r"train\.tf32 needs an NVIDIA GPU from Ampere on: the CPU multiplies"),
        ({"train.tf32": True}, (7, 5), r"train\.tf32 needs an NVIDIA GPU from Ampere on: Simulated GPU multiplies"),
        ({"model.attention": "flash_attention_2"}, (9, 0), "takes bfloat16 or float16"),
        ({"model.attention": "flash_attention_3"}, None, "takes bfloat16 or float16"),
        ({"train.liger": True}, None, r"train\.liger needs a GPU"),
        (
            {"model.quantize": "int8"},
            (7, 0),
            r'model\.quantize "int8" needs a GPU of compute capability 7\.5 .* has 7\.0',
        ),
    ],
)
def test_what_the_device_cannot_do_is_refused_before_a_model_is_loaded(
    values: dict[str, Any], capability: tuple[int, int] | None, message: str
) -> None:
    settings = with_values(GOOD, values, "speedtui.toml")
    with simulated_cuda(capability=capability or (9, 0)), pytest.raises(ConfigError, match=message) as raised:
        require_device(settings, CPU if capability is None else CUDA)
    assert raised.value.hint.startswith("Set ")


@pytest.mark.parametrize(("capability", "there"), [((7, 0), False), ((7, 5), False), ((8, 0), True), ((12, 0), True)])
def test_bfloat16_and_tf32_are_there_from_ampere_on(capability: tuple[int, int], there: bool) -> None:
    with simulated_cuda(capability=capability):
        assert (has_bf16(CUDA), has_tf32(CUDA)) == (there, there)
    assert (has_bf16(CPU), has_tf32(CPU)) == (True, False)


@pytest.mark.parametrize("half", ["train.bf16", "train.fp16"])
@pytest.mark.parametrize("attention", ["flash_attention_2", "flash_attention_3"])
def test_flash_attention_is_for_float32_weights_too_where_they_are_autocast(half: str, attention: str) -> None:
    settings = with_values(GOOD, {half: True, "model.attention": attention}, "speedtui.toml")
    with simulated_cuda():
        require_device(settings, CUDA)
