"""Settings as they are typed, with the configuration's own messages."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine.errors import ConfigError
from speedtui.tui.values import changes, format_value, parse_line, parse_lines


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("train.micro_batch_size = 4", ("train.micro_batch_size", 4)),
        ("micro_batch_size=4", ("train.micro_batch_size", 4)),
        ("train.learning_rate = 2e-4", ("train.learning_rate", 2e-4)),
        ("train.gradient_checkpointing = true", ("train.gradient_checkpointing", True)),
        ("model.attention = eager", ("model.attention", "eager")),
        ('model.attention = "eager"', ("model.attention", "eager")),
        ("recipe.ddpm_mul = 4", ("recipe.ddpm_mul", 4)),
    ],
)
def test_a_line_is_a_setting_and_its_value(line: str, expected: tuple[str, object]) -> None:
    assert parse_line(line) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("train.micro_batch", "did you mean"),
        ("train.micro_batch_siez = 4", "did you mean train.micro_batch_size?"),
        ("train.micro_batch_size =", "expected `setting = value`"),
        ("train.lora.target_modules = [1]", "expected a number, text, true or false"),
    ],
)
def test_a_line_that_cannot_be_read_says_why(line: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_line(line)
    assert message in caught.value.message or (
        message == "did you mean" and "expected `setting" in caught.value.message
    )


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["train.micro_batch_size = 3"], "does not divide"),
        (["train.micro_batch_size = two"], "train.micro_batch_size: expected a whole number, got 'two'"),
        (["model.attention = flush"], "expected one of auto, sdpa, eager, flash_attention_2, flash_attention_3"),
        (["train.bf16 = true", "bf16 = false"], "train.bf16 is set twice"),
    ],
)
def test_values_are_checked_as_in_the_configuration(lines: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lines(lines, b.config())
    assert message in caught.value.message


def test_empty_lines_are_no_settings() -> None:
    assert parse_lines(["", "  ", "train.bf16 = true"], b.config()) == {"train.bf16": True}


def test_only_what_differs_from_the_configuration_is_a_change() -> None:
    values = {"train.micro_batch_size": 1, "train.bf16": True}
    assert changes(b.config(), values) == [("train.bf16", False, True)]


@pytest.mark.parametrize("value", [True, 4, 0.0002, "eager"])
def test_a_value_reads_back_as_it_was(value: object) -> None:
    _, again = parse_line(f"recipe.knob = {format_value(value)}")
    assert again == value and type(again) is type(value)
