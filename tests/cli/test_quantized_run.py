"""The program on a quantized base: a training with answers, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from safetensors.torch import load_file

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from tests.cli.program import Ended, Place, pairs

ANSWERS = {"eval_every": "2 steps", "generate": True, "max_new_tokens": 3, "checkpoint_every": "2 steps"}


def test_a_training_evaluates_answers_and_leaves_its_adapter(place: Place) -> None:
    place.write_rows(pairs(4), "eval.jsonl")
    model = {"quantize": "nf4"}
    place.configure(
        {"model": model, "data": {"eval": "eval.jsonl"}, "train": {"max_steps": 4, "bf16": True}, "schedule": ANSWERS}
    )
    ended = place.run("train")
    assert ended.code == ExitCode.DONE, ended.err
    folder = place.run_folder
    events = list(read_events(folder.events))
    (begun,) = (event for event in events if isinstance(event, e.TrainingStarted))
    assert "nf4" in begun.label.split()
    evaluations = [event for event in events if isinstance(event, e.EvaluationCompleted)]
    assert [event.step for event in evaluations] == [2, 4]
    assert all(event.loss is not None and "generate" in event.phases for event in evaluations)
    assert any(isinstance(event, e.Notice) and event.text.startswith("nf4: ") for event in events)
    assert load_settings(folder.config).model.quantize == "nf4"
    names = set(load_file(folder.path / "model" / "adapter_model.safetensors"))
    assert names and all("lora_" in name for name in names)
    assert not (folder.path / "model" / "model.safetensors").exists()


@pytest.mark.parametrize("command", ["train", "tune", "plan"])
@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"model": {"quantize": "int4"}},
         "speedtui.toml: model.quantize: expected one of none, nf4, int8, got 'int4'", "Correct model.quantize."),
        ({"model": {"quantize": "nf4"}, "train": {"method": "full"}},
         'speedtui.toml: model.quantize "nf4" does not go with train.method "full": too few bits to train',
         'Set train.method = "lora", or model.quantize = "none".'),
        ({"model": {"quantize": "int8", "kind": "python", "recipe": "r.py:build", "architecture": None}},
         'speedtui.toml: model.quantize "int8" does not go with model.kind "python", whose model the recipe builds',
         "Remove model.quantize."),
    ],
    ids=["unknown", "full", "recipe"],
)  # fmt: skip
def test_what_cannot_be_quantized_is_one_line_and_nothing_is_begun(
    place: Place, call: Callable[..., Ended], command: str, changes: dict[str, Any], message: str, hint: str
) -> None:
    place.configure(changes)
    ended = call(command)
    assert ended.code == ExitCode.USAGE
    assert ended.message.startswith(message)
    assert ended.hint == hint
    assert place.untouched


@pytest.mark.parametrize("command", ["train", "tune", "plan"])
def test_without_the_extra_nothing_is_begun(
    place: Place, call: Callable[..., Ended], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.configure({"model": {"quantize": "nf4"}})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "bitsandbytes" else object())
    ended = call(command)
    assert (ended.code, ended.message) == (
        ExitCode.USAGE, 'model.quantize "nf4": bitsandbytes is not installed',
    )  # fmt: skip
    assert ended.hint == "pip install 'speedtui[quantize]'"
    assert place.untouched
