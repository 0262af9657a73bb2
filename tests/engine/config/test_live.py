from __future__ import annotations

from pathlib import Path

import pytest

from speedtui.engine.config.live import LIVE_SETTINGS, live_values, parse_pairs
from speedtui.engine.config.paths import convert, setting_paths
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError

FOLDER = Path("/work/elsewhere")


def settings(**schedule: object) -> Settings:
    tree = {
        "model": {"path": "m", "kind": "seq2seq"},
        "data": {"train": "t.jsonl", "eval": "e.jsonl", "prompt": "q", "response": "a"},
        "schedule": {"generate": True, **schedule},
    }
    return convert(tree, "test")


def values(*typed: str, now: Settings | None = None) -> dict[str, Scalar]:
    return live_values(parse_pairs(typed, "set"), now or settings(), "set", folder=FOLDER)


@pytest.mark.parametrize(
    ("typed", "path", "value"),
    [
        ("eval_every=1200", "schedule.eval_every", "1200 steps"),
        ("eval_every=1", "schedule.eval_every", "1 step"),
        ("eval_every=3 epochs", "schedule.eval_every", "3 epochs"),
        ('eval_every="3 epochs"', "schedule.eval_every", "3 epochs"),
        ("schedule.checkpoint_every = 30m", "schedule.checkpoint_every", "30m"),
        ("fast_eval_every=never", "schedule.fast_eval_every", "never"),
        ("schedule.metric=", "schedule.metric", ""),
        ("metric=score.py:f", "schedule.metric", "/work/elsewhere/score.py:f"),
        ("metric=/code/score.py:f", "schedule.metric", "/code/score.py:f"),
        ("generate=false", "schedule.generate", False),
        ("eval_share=0.05", "schedule.eval_share", 0.05),
        ("metric_timeout=90s", "schedule.metric_timeout", "90s"),
        ("eval_batch_size=16", "schedule.eval_batch_size", 16),
        ("generation_batch_size=32", "schedule.generation_batch_size", 32),
        ("beams=4", "schedule.beams", 4),
        ("micro_batch_size=4", "train.micro_batch_size", 4),
        ("max_steps=500", "train.max_steps", 500),
    ],
)
def test_what_is_typed_is_read_as_its_setting_has_it(typed: str, path: str, value: Scalar) -> None:
    assert values(typed) == {path: value}


def test_several_are_set_at_once_and_checked_together() -> None:
    assert values("metric=f.py:f", "best_by=exact") == {
        "schedule.metric": "/work/elsewhere/f.py:f",
        "schedule.best_by": "exact",
    }
    with pytest.raises(ConfigError, match=r"best_by 'exact' needs schedule\.metric"):
        values("best_by=exact")


def test_it_is_checked_against_the_settings_as_they_are_now() -> None:
    now = settings(metric="f.py:f")
    with pytest.raises(ConfigError, match=r"scores what the model generates, and schedule.generate is false"):
        values("generate=false", now=now)
    assert values("generate=false", "metric=", now=now) == {"schedule.generate": False, "schedule.metric": ""}


def test_a_commands_values_are_read_like_what_was_typed() -> None:
    sent: dict[str, Scalar] = {"schedule.eval_every": 1200, "schedule.generate": False}
    assert live_values(sent.items(), settings(), "set") == {
        "schedule.eval_every": "1200 steps",
        "schedule.generate": False,
    }
    again = live_values(sent.items(), settings(), "set")
    assert live_values(again.items(), settings(), "set") == again


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        (["eval_every=0"], "expected 200 steps, 1 epoch, 30m or never"),
        (["eval_every=-5"], "expected 200 steps, 1 epoch, 30m or never"),
        (["eval_every=often"], "expected 200 steps, 1 epoch, 30m or never, got 'often'"),
        (["eval_every="], "expected 200 steps, 1 epoch, 30m or never"),
        (["eval_every=1.5"], "expected 200 steps, 1 epoch, 30m or never"),
        (["eval_every=true"], "got"),
        (["eval_every=1\nbeams = 2"], "expected 200 steps, 1 epoch, 30m or never"),
        (["beams=2.5"], "schedule.beams: expected a whole number, got 2.5"),
        (["beams=0"], "schedule.beams must be at least 1, got 0"),
        (["patience=two"], "schedule.patience: expected a whole number, got 'two'"),
        (["patience="], "schedule.patience has no value"),
        (["generate=yes"], "schedule.generate: expected true or false, got 'yes'"),
        (["generate=1"], "schedule.generate: expected true or false, got 1"),
        (["eval_share=5"], "schedule.eval_share must be between 0 and 1"),
        (["eval_share=[0.1]"], r"schedule.eval_share: expected a number, text, true or false, got \[0.1\]"),
        (["metric=score"], "schedule.metric: expected file.py:function"),
        (["metric_timeout=60"], "schedule.metric_timeout: expected a duration"),
        (["micro_batch_size=5"], "does not divide train.effective_batch_size 16"),
        (["learning_rate=nan"], "train.learning_rate must be a finite number, got nan"),
        (["on_nonfinite=hope"], "schedule.on_nonfinite: expected one of stop, go_back, continue"),
        (["weight_decay=0.1"], "train.weight_decay cannot be changed while a run goes on"),
        (["model.path=other"], "model.path cannot be changed while a run goes on"),
        (["recipe.layers=3"], "recipe.layers cannot be changed while a run goes on"),
        (["evl_every=3"], r"evl_every is not a setting; did you mean schedule.eval_every\?"),
        (["eval_every=10", "schedule.eval_every=20"], "schedule.eval_every is set twice"),
        (["eval_every"], "expected KEY=VALUE, got 'eval_every'"),
        (["=3"], "expected KEY=VALUE, got '=3'"),
        ([], "nothing to set"),
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_by_name(typed: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint) as refused:
        values(*typed)
    assert refused.value.message.startswith("set: ")


def test_a_refused_key_names_those_that_can_be_set() -> None:
    with pytest.raises(ConfigError) as refused:
        values("train.lora.r=8")
    assert "eval_every" in refused.value.hint and "train.max_steps" in refused.value.hint


def test_every_live_setting_is_a_setting() -> None:
    assert set(LIVE_SETTINGS) <= set(setting_paths())
