"""Weights whose precision is not enough to be trained: measured, refused, or told with what it costs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.precision import precision_warning, unmoved_share
from tests.engine.workload.small import LLAMA, changed, load, settings_of


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    train = tmp_path_factory.mktemp("precision") / "train.jsonl"
    train.write_text('{"question": "one and two", "answer": "three"}\n' * 4)
    return settings_of(train, model={"architecture": LLAMA})


def model_of(settings: Settings, dtype: torch.dtype) -> Any:
    return load(settings).model.to(dtype)


def test_a_models_own_float16_weights_are_refused_by_name_whoever_built_it(settings: Settings) -> None:
    model = model_of(settings, torch.float16)
    with pytest.raises(ConfigError, match=r"embed_tokens\.weight of torch\.float16 weights cannot train"):
        make_trainable(model, settings)
    recipe = changed(settings, "model", kind="python")
    with pytest.raises(ConfigError) as raised:
        make_trainable(model, recipe)
    assert raised.value.hint == "Have the recipe build its model in bfloat16 or float32."


def test_adapters_of_a_float16_model_train_and_their_gradients_are_said_to_be_inexact(settings: Settings) -> None:
    lora = changed(settings, "train", method="lora")
    trained = make_trainable(model_of(settings, torch.float16), lora)
    assert {p.dtype for p in trained.parameters() if p.requires_grad} == {torch.float32}
    assert "float16 without loss scaling" in precision_warning(trained, lora)


def test_the_share_of_bfloat16_weights_that_a_step_leaves_where_they_were_is_that_of_a_real_step() -> None:
    weight = torch.nn.Linear(64, 64, bias=False).to(torch.bfloat16)
    for rate in (1e-5, 1e-4, 1e-3):
        expected = unmoved_share(weight, rate)
        before = weight.weight.detach().clone()
        optimizer = torch.optim.AdamW(weight.parameters(), lr=rate, weight_decay=0.0)
        weight.weight.grad = -torch.ones_like(weight.weight)  # Adam's first step is the rate, upwards
        optimizer.step()
        assert float((weight.weight == before).float().mean()) == pytest.approx(expected, abs=0.02)
        weight.weight.data.copy_(before)


@pytest.mark.parametrize(
    ("dtype", "rate", "told"),
    [(torch.float32, 1e-5, False), (torch.bfloat16, 1e-5, True), (torch.bfloat16, 1e-2, False)],
)
def test_weights_that_cannot_move_are_told_with_their_share(
    settings: Settings, dtype: torch.dtype, rate: float, told: bool
) -> None:
    slow = changed(settings, "train", learning_rate=rate)
    warning = precision_warning(make_trainable(model_of(settings, dtype), slow), slow)
    assert bool(warning) is told
    assert not told or "do not move at a learning rate of 1e-05" in warning
