"""Settings of the data side that do not go together: one line that names the key, before anything is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from speedtui.engine.config.check import check
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.errors import ConfigError
from tests.engine.workload.small import changed

PAIRS = DataSettings(train="rows.jsonl", prompt="question", response="answer")


def refused(settings: Settings) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check(settings, "speedtui.toml")
    assert "\n" not in caught.value.message
    assert caught.value.message.startswith("speedtui.toml: ")
    assert caught.value.hint
    return caught.value


def settings(kind: Any, data: DataSettings = PAIRS) -> Settings:
    if kind == "python":
        return Settings(model=ModelSettings(kind=kind, recipe="recipe.py:build"))
    return Settings(model=ModelSettings(kind=kind, path="model"), data=data)


@pytest.mark.parametrize("column", ["text", "messages"])
def test_an_encoder_decoder_needs_prompt_and_response(column: str) -> None:
    data = DataSettings(train="rows.jsonl", **{column: "column"})
    error = refused(settings("seq2seq", data))
    assert f'data.{column} does not go with model.kind "seq2seq"' in error.message
    assert "data.prompt and data.response" in error.hint


@pytest.mark.parametrize("kind", ["seq2seq", "python"])
def test_packing_is_for_causal_models_alone(kind: str) -> None:
    error = refused(changed(settings(kind), "data", packing=True))
    assert f'data.packing goes with model.kind "causal-lm", not with "{kind}"' in error.message


def test_a_recipe_cannot_be_grouped_by_length() -> None:
    error = refused(changed(settings("python"), "train", group_by_length=True))
    assert "train.group_by_length needs the samples' lengths" in error.message


def test_what_goes_together_is_taken() -> None:
    check(settings("seq2seq"), "speedtui.toml")
    check(changed(settings("seq2seq"), "train", group_by_length=True), "speedtui.toml")
    both = changed(changed(settings("causal-lm"), "data", packing=True), "train", group_by_length=True)
    check(both, "speedtui.toml")
    check(changed(settings("causal-lm", DataSettings(train="t.jsonl", text="text")), "data", packing=True), "t.toml")
