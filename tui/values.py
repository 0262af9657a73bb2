"""Settings as people type and read them: `train.micro_batch_size = 4`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import convert, resolve_path, with_values
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError

WHERE = "candidate"
"""Opens the messages of the configuration's own checks."""


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


def split_line(line: str, where: str, example: str) -> tuple[str, str]:
    """Name and text of `setting = value`; the text may be empty.

    Raises:
        ConfigError: there is no equals sign, or no name before it; `example` says how it is written.
    """
    name, equals, text = (part.strip() for part in line.partition("="))
    if not equals or not name:
        raise ConfigError(f"{where}: expected `setting = value`, got {line.strip()!r}", example)
    return name, text


def parse_line(line: str, where: str = WHERE) -> tuple[str, Scalar]:
    """Path and value of `path = value`; text need not be quoted. `where` opens the messages.

    Raises:
        ConfigError: no equals sign, an unknown setting, or a list or table for a value.
    """
    name, equals, text = (part.strip() for part in line.partition("="))
    if not equals or not name or not text:
        raise ConfigError(f"{where}: expected `setting = value`, got {line.strip()!r}")
    path = resolve_path(name.strip('"'), where)
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if not isinstance(value, bool | int | float | str):
        raise ConfigError(f"{where}: {path}: expected a number, text, true or false, got {text}")
    return path, value


def parse_lines(lines: Iterable[str], config: Mapping[str, Any]) -> dict[str, Scalar]:
    """The values of a candidate, checked as the configuration file would be.

    Raises:
        ConfigError: the first line that cannot be used, or values that do not go together.
    """
    values: dict[str, Scalar] = {}
    for line in lines:
        if line.strip():
            path, value = parse_line(line)
            if path in values:
                raise ConfigError(f"{WHERE}: {path} is set twice")
            values[path] = value
    check(with_values(convert(config, "the run's configuration"), values, WHERE), WHERE)
    return values
