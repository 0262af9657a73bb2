"""A setting as a person types it, `train.micro_batch_size = 4`: one reading for candidates, dialogs and commands."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress

from speedtui.engine.config.frequency import Frequency, frequency_text
from speedtui.engine.config.paths import holds_text, resolve_path
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError

FREQUENCIES = ("schedule.eval_every", "schedule.fast_eval_every", "schedule.checkpoint_every")
"""Where a bare number counts steps."""
_NUMBER = re.compile(r"[+-]?(0|[1-9]\d{0,2}(,\d{3})+|[1-9]\d*(_\d+)*)?(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
"""Also `1,000`, `.5` and `2e-4`; `1,5` is none: whether one and a half is meant, nobody can know; nor is `007`."""


def split_setting(
    text: str, where: str, form: str = "`setting = value`", hint: str = "Such as train.micro_batch_size = 4."
) -> tuple[str, str]:
    """(name, text of the value) of `name = value`; the value may be empty. `form`: how messages call it.

    Raises:
        ConfigError: there is no equals sign, or no name before it.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise ConfigError(f"{where}: expected {form}, got {text.strip()!r}", hint)
    return name.strip('"'), value


def typed_setting(line: str, where: str) -> tuple[str, Scalar | None]:
    """(path, value) of `setting = value`; None where nothing stands for the value.

    Raises:
        ConfigError: no equals sign, an unknown setting, or a list or table for a value.
    """
    name, text = split_setting(line, where)
    path = resolve_path(name, where)
    return path, typed_value(path, text, where)


def typed_value(path: str, text: str, where: str) -> Scalar | None:
    """What was typed for a setting: text need not be quoted, a bare number in a frequency counts steps. None where
    nothing was typed. Whether the setting may have the value is for `with_values` and `check`.

    Raises:
        ConfigError: a list or table.
    """
    text = text.strip()
    if not text:
        return None
    value = _literal(text, where=f"{where}: {path}")
    if path in FREQUENCIES and isinstance(value, int) and not isinstance(value, bool):
        return frequency_text(Frequency(steps=value))
    return text if holds_text(path) and not isinstance(value, str) else value


def _literal(text: str, where: str) -> Scalar:
    """A number, true or false, a quoted text; what is none of them is the text that it is."""
    if any(character.isdigit() for character in text) and _NUMBER.fullmatch(text):
        plain = text.replace(",", "")
        for kind in (int, float):
            with suppress(ValueError):
                return kind(plain)
    try:
        value = tomllib.loads(f"value = {text}")["value"] if text.isprintable() else text
    except (ValueError, RecursionError):  # also of thousands of digits or brackets
        return text
    if isinstance(value, list | dict):
        raise ConfigError(f"{where}: expected a number, text, true or false, got {text}")
    return value if isinstance(value, bool | int | float | str) else text  # a date is none of them
