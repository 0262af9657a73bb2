"""Kernels that are put into a model and into transformers for one trial, and leave no trace in either."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.models.llama import modeling_llama

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.memory.peak_model import MemoryRequest, Unpredictable
from speedtui.engine.memory.worker import answer
from speedtui.engine.trial.prepared import make_trainable, restore_base
from speedtui.engine.workload.packages import LIGER as PACKAGE
from speedtui.engine.workload.precision import require_device
from tests.engine.workload.small import LLAMA, changed, load, settings_of

CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
STAND_IN = Path(__file__).parent / "liger_stand_in"


@pytest.fixture
def liger(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(STAND_IN))
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    train = tmp_path_factory.mktemp("liger") / "train.jsonl"
    train.write_text('{"question": "one and two", "answer": "three"}\n' * 4)
    return settings_of(train, model={"architecture": LLAMA}, liger=True)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model(input_ids=torch.arange(12).reshape(2, 6)).logits
    return result


def attributes(model: Any) -> list[dict[str, Any]]:
    """Of the modules, of their file, and of its classes: what each is, but for what checkpointing makes anew."""
    owners = [*model.modules(), modeling_llama]
    owners += [value for value in vars(modeling_llama).values() if isinstance(value, type)]
    left_out = ("training", "_require_grads", "gradient_checkpointing", "_gradient_checkpointing")
    return [
        {name: id(value) for name, value in vars(owner).items() if not name.startswith(left_out)} for owner in owners
    ]


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_after_a_trial_the_model_and_its_code_are_what_they_were(
    liger: None, settings: Settings, method: Any, checkpointing: bool
) -> None:
    asked = changed(settings, "train", method=method, gradient_checkpointing=checkpointing)
    model = load(settings).model
    restore_base(make_trainable(model, changed(asked, "train", liger=False)), asked)  # peft's own first traces
    before, plain = attributes(model), logits(model)
    for _ in range(2):
        trained = make_trainable(model, asked)
        assert not torch.equal(logits(trained), plain), "the kernels run"
        trained(
            input_ids=torch.ones(1, 4, dtype=torch.int64), labels=torch.ones(1, 4, dtype=torch.int64)
        ).loss.backward()
        assert restore_base(trained, asked) is model
        assert torch.equal(logits(model), plain)
        assert attributes(model) == before
    other = load(settings).model
    assert torch.equal(logits(other), plain), "nor is another model of the kind"


def test_where_something_else_fails_they_are_taken_out_too(liger: None, settings: Settings) -> None:
    asked = changed(settings, "train", method="lora")
    asked = changed(asked, "train", lora=type(asked.train.lora)(target_modules=["nothing"]))
    model = load(settings).model
    before = attributes(model)
    with pytest.raises(ConfigError, match="nothing"):
        make_trainable(model, asked)
    assert attributes(model) == before


def test_where_it_fails_half_way_what_it_has_written_is_taken_back(
    liger: None, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from liger_kernel.transformers import monkey_patch  # the stand-in, which is there within the fixture

    model = load(settings).model
    before, written = attributes(model), []

    def fails_at_the_end(model: Any = None) -> None:
        monkey_patch.apply_liger_kernel_to_llama(model)
        written.append(attributes(model))
        raise RuntimeError("no kernel image is available")

    monkeypatch.setitem(monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN, "llama", fails_at_the_end)
    with pytest.raises(RuntimeError, match="no kernel image"):
        make_trainable(model, settings)
    assert written and written[0] != before and attributes(model) == before


def test_a_model_that_it_does_not_know_is_refused(liger: None, settings: Settings) -> None:
    asked = changed(settings, "model", architecture={**LLAMA, "model_type": "mistral"})
    with pytest.raises(ConfigError, match=r"train\.liger: liger-kernel knows no model of type mistral"):
        make_trainable(load(asked).model, asked)


def test_on_the_cpu_and_without_the_package_it_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"train\.liger needs a GPU"):
        require_device(settings, CPU)
    assert PACKAGE not in sys.modules
    with pytest.raises(UsageError, match="which is not installed") as raised:
        require_device(settings, CUDA)
    assert raised.value.hint == "pip install 'speedtui[liger]'"


def test_no_peak_is_made_up_for_it(settings: Settings) -> None:
    """Its kernels do not run on fake tensors, and keep other things than the model's own code does."""
    outcome = answer(MemoryRequest(settings=settings, longest_tokens=8, vocabulary=300)).prediction.outcome
    assert isinstance(outcome, Unpredictable) and "liger-kernel" in outcome.reason
