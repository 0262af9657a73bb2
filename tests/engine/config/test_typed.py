"""A setting as it is typed is read in one way, wherever it is typed."""

from __future__ import annotations

import pytest

from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.typed import split_setting, typed_setting, typed_value
from speedtui.engine.errors import ConfigError
from speedtui.tui.values import format_value

EVERY, STEPS, KNOB = "schedule.eval_every", "train.max_steps", "recipe.knob"


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        ("train.micro_batch_size = 4", "train.micro_batch_size", 4),
        ("micro_batch_size=4", "train.micro_batch_size", 4),
        ("train.learning_rate = 2e-4", "train.learning_rate", 2e-4),
        ("train.gradient_checkpointing = true", "train.gradient_checkpointing", True),
        ("model.attention = eager", "model.attention", "eager"),
        ('model.attention = "eager"', "model.attention", "eager"),
        ("recipe.ddpm_mul = 4", "recipe.ddpm_mul", 4),
        ("schedule.patience =", "schedule.patience", None),
    ],
)
def test_a_line_is_a_setting_and_its_value(line: str, path: str, value: Scalar | None) -> None:
    found = typed_setting(line, "typed")
    assert found == (path, value) and type(found[1]) is type(value)


@pytest.mark.parametrize(
    ("path", "text", "value"),
    [
        (EVERY, "1200", "1200 steps"), (EVERY, "1", "1 step"), (EVERY, "1,200", "1200 steps"),
        (EVERY, "2 epochs", "2 epochs"), (EVERY, '"2 epochs"', "2 epochs"), (EVERY, "1.5", "1.5"),
        (EVERY, "true", "true"), ("train.epochs", "2.5", 2.5), ("train.epochs", ".5", 0.5), ("train.epochs", "5.", 5.0),
        (STEPS, "12,000", 12_000), (STEPS, "12_000", 12_000), (STEPS, "1,5", "1,5"),
        (STEPS, "12,00", "12,00"), (STEPS, "-3", -3),
        ("schedule.patience", "", None), ("schedule.patience", "  ", None), ("schedule.generate", "true", True),
        ("model.path", "123", "123"), ("model.path", "true", "true"), ("data.eval", "2024", "2024"),
        (KNOB, "007", "007"), (KNOB, "e5", "e5"), (KNOB, "_1", "_1"), (KNOB, "none", "none"),
        (KNOB, "4\nbeams = 2", "4\nbeams = 2"),
    ],
)  # fmt: skip
def test_what_is_typed_becomes_a_value_of_its_setting(path: str, text: str, value: Scalar | None) -> None:
    found = typed_value(path, text, "typed")
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("value", [True, 4, 0.0002, -1, "eager", "1,5", "2026-11-28"])
def test_a_value_reads_back_as_it_was(value: Scalar) -> None:
    again = typed_value(KNOB, format_value(value), "typed")
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train.micro_batch", "typed: expected `setting = value`, got 'train.micro_batch'"),
        ("= 4", "typed: expected `setting = value`, got '= 4'"),
        ("train.micro_batch_siez = 4", "did you mean train.micro_batch_size?"),
        ("train.lora.target_modules = [1]", "expected a number, text, true or false, got [1]"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed_setting(line, "typed")
    assert message in caught.value.message


def test_the_value_of_a_line_may_hold_an_equals_sign() -> None:
    assert split_setting(" metric = f.py:f = g ", "typed") == ("metric", "f.py:f = g")
