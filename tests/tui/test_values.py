"""Settings as they are typed, with the configuration's own messages."""

from __future__ import annotations

import builders as b
import pytest

from speedtui.engine.errors import ConfigError
from speedtui.tui.values import changes, parse_lines


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["train.micro_batch_size = 3"], "does not divide"),
        (["train.micro_batch_size = two"], "train.micro_batch_size: expected a whole number, got 'two'"),
        (["model.attention = flush"], "expected one of auto, sdpa, eager, flash_attention_2, flash_attention_3"),
        (["train.bf16 = true", "bf16 = false"], "train.bf16 is set twice"),
        (["train.micro_batch_size ="], "train.micro_batch_size has no value"),
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
