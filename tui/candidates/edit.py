"""A candidate's settings as lines to be edited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from speedtui.engine.clean import UNBOUNDED, clean, toml_text
from speedtui.engine.config.settings import Scalar
from speedtui.tui.values import Edited, ParseLines, format_value, parse_lines


def candidate_lines(values: Mapping[str, Scalar]) -> list[str]:
    """One for each setting; texts that hold more than is seen are quoted, and read back as they are."""
    return [f"{_typed(path)} = {_typed(format_value(value))}" for path, value in values.items()]


def _typed(text: str) -> str:
    return text if clean(text, UNBOUNDED) == text else toml_text(text)


def candidate_check(config: Mapping[str, Any]) -> ParseLines:
    """Reads lines as settings laid over the run's configuration."""

    def check(lines: Sequence[str]) -> Edited:
        values = parse_lines(lines, config)
        return Edited(values, _summary(values, config))

    return check


def _summary(values: Mapping[str, Scalar], config: Mapping[str, Any]) -> str:
    if not values:
        return "no setting differs: the configuration as it is"
    train = config.get("train", {})
    micro = values.get("train.micro_batch_size", train.get("micro_batch_size"))
    effective = values.get("train.effective_batch_size", train.get("effective_batch_size"))
    if not isinstance(micro, int) or not isinstance(effective, int) or not micro:
        return "can be used"
    return f"micro-batch {micro} × accumulation {effective // micro} = effective batch {effective}"
