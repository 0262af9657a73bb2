"""Trials on a quantized base: adapters put on and taken off one loaded model, and the bits as a knob."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.log.tail import read_events
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.workload.quantized import held_tensors
from speedtui.engine.workload.weights_guard import hash_tensor
from tests.engine.trial.conftest import NewRunner, attempt
from tests.simulated_cuda import simulated_cuda


def with_bits(settings: Settings, quantize: str) -> dict[str, Any]:
    search = msgspec.structs.replace(settings.search, batches=2)
    return {"model": msgspec.structs.replace(settings.model, quantize=quantize), "search": search}


@pytest.mark.parametrize("quantize", ["nf4", "int8"])
def test_trials_leave_every_bit_of_the_one_model_that_they_run_on(
    new_runner: NewRunner, settings: Settings, quantize: str
) -> None:
    runner = new_runner(**with_bits(settings, quantize))
    model = runner.load(runner.context.settings).model
    before = [hash_tensor(tensor) for tensor in held_tensors(model)]
    kinds: list[dict[str, Any]] = [
        {}, {"bf16": True}, {"gradient_checkpointing": True, "micro_batch_size": 4}, {"train__lora__r": 2},
    ]  # fmt: skip
    for number, values in enumerate(kinds):
        result = attempt(runner, number, **values)
        assert (result.status, result.base_weights_unchanged) == (TrialStatus.OK, True), result.reason
    assert runner.loads == 1
    assert [hash_tensor(tensor) for tensor in held_tensors(model)] == before


def test_the_bits_are_a_knob_that_loads_another_model_and_names_it(new_runner: NewRunner, settings: Settings) -> None:
    runner = new_runner(**with_bits(settings, "none"))
    peaks = {}
    for number, quantize in enumerate(("none", "nf4", "int8")):
        candidate = make_candidate(number, {"model.quantize": quantize}, runner.context.settings, "test")
        assert (f" {quantize} " in candidate.label) is (quantize != "none")
        result = runner.run(candidate, None)
        assert result.status is TrialStatus.OK, result.reason
        assert result.memory is not None
        peaks[quantize] = result.memory.peak_allocated_bytes
    assert runner.loads == 3
    assert peaks["nf4"] < peaks["int8"] < peaks["none"]
    runner.context.log.flush()
    events = list(read_events(runner.context.folder.events))
    told = [event.text for event in events if isinstance(event, e.Notice) and "of the parameters are in" in event.text]
    assert [text.partition(":")[0] for text in told] == ["nf4", "int8"]
    loaded = [event.parameters for event in events if isinstance(event, e.ModelLoaded)]
    assert len(loaded) == 3 and len(set(loaded)) == 1


def test_a_full_fine_tuning_of_a_quantized_base_is_no_candidate(settings: Settings) -> None:
    quantized = msgspec.structs.replace(settings, **with_bits(settings, "nf4"))
    with pytest.raises(ConfigError, match=r'model\.quantize "nf4" does not go with train\.method "full"'):
        make_candidate(0, {"train.method": "full"}, quantized, "candidates")


@pytest.mark.parametrize(("quantize", "bf16"), [("nf4", False), ("int8", True)])
def test_on_a_simulated_gpu_a_trial_leaves_the_base_and_the_device_as_they_were(
    new_runner: NewRunner, settings: Settings, quantize: str, bf16: bool
) -> None:
    with simulated_cuda():
        runner = new_runner(device=torch.device("cuda", 0), **with_bits(settings, quantize))
        result = attempt(runner, bf16=bf16)
        assert (result.status, result.base_weights_unchanged) == (TrialStatus.OK, True), result.reason
        assert runner.poisoned == ""
        assert {tensor.device.type for tensor in held_tensors(runner.load(runner.context.settings).model)} == {"cuda"}
    runner.context.log.flush()
    said = [event.text for event in read_events(runner.context.folder.events) if isinstance(event, e.Notice)]
    assert any("float32 without train.bf16" in text for text in said) is not bf16
