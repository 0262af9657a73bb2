"""Settings as people type and read them: `train.micro_batch_size = 4`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import convert, with_values
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.typed import typed_setting
from speedtui.engine.errors import ConfigError

WHERE = "candidate"
"""Opens the messages of the configuration's own checks."""


class Edited(NamedTuple):
    """Lines that can be used."""

    values: dict[str, Scalar]
    """By path."""
    summary: str
    """What they come to, in words."""


ParseLines = Callable[[Sequence[str]], Edited]
"""Reads the lines, or raises a ConfigError that says what is wrong with them and what was expected."""


def format_value(value: Any) -> str:
    """As it would be typed; a dash where nothing is set."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def value_words(value: Any) -> str:
    """As it is read in a sentence: an empty text turns a setting off."""
    return "not set" if value in (None, "") else format_value(value)


def changes(config: Mapping[str, Any], values: Mapping[str, Scalar]) -> list[tuple[str, Any, Scalar]]:
    """(path, before, after) of the values that differ from the run's configuration."""
    found = ((path, value_at(config, path), value) for path, value in values.items())
    return [(path, before, after) for path, before, after in found if before != after]


def value_at(config: Mapping[str, Any], path: str) -> Any:
    """What a run's configuration says for a path; None where it says nothing."""
    node: Any = config
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def parse_lines(lines: Iterable[str], config: Mapping[str, Any]) -> dict[str, Scalar]:
    """The values of a candidate, checked as the configuration file would be.

    Raises:
        ConfigError: the first line that cannot be used, or values that do not go together.
    """
    values: dict[str, Scalar] = {}
    for line in lines:
        if line.strip():
            path, value = typed_setting(line, WHERE)
            if value is None:
                raise ConfigError(f"{WHERE}: {path} has no value", f"Such as {path} = 4.")
            if path in values:
                raise ConfigError(f"{WHERE}: {path} is set twice")
            values[path] = value
    check(with_values(convert(config, "the run's configuration"), values, WHERE), WHERE)
    return values
