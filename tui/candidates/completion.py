"""Settings completed while they are typed: their names, and their values where these are few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from textual.suggester import Suggester

from speedtui.engine.config.paths import resolve_path, value_choices
from speedtui.engine.errors import ConfigError
from speedtui.tui.values import format_value, value_at

MOST_NAMES = 6
"""Named in a hint; more would not be read."""


class SettingSuggester(Suggester):
    """Completes `setting = value`, of several values the last."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(use_cache=True, case_sensitive=True)
        self._names = tuple(names)

    async def get_suggestion(self, value: str) -> str | None:
        return completed(value, self._names)


def completed(text: str, names: Sequence[str]) -> str | None:
    """The whole line with the name or value under the cursor completed; None where nothing is known to follow."""
    name, equals, values = text.partition("=")
    if equals:
        typed = values.rpartition(",")[2].lstrip()
        choice = next((c for c in _choices(name, names) if c.startswith(typed) and c != typed), None)
        return text + choice[len(typed) :] if choice is not None and values else None
    if not text.strip():
        return None
    last_parts = [path.rpartition(".")[2] for path in names]
    found = next((path for path in (*names, *last_parts) if path.startswith(text)), None)
    return f"{found} = " if found is not None else None


def hint(text: str, names: Sequence[str], config: Mapping[str, Any]) -> str:
    """What the line could become: names with the typed part in them, or the setting's values and what it is now."""
    name, equals, _ = text.partition("=")
    if not equals:
        return _names_with(text.strip(), names)
    path = _path(name, names)
    if path is None:
        return ""
    choices = _choices(name, names)
    now = value_at(config, path)
    words = [f"{path}: {', '.join(choices)}"] if choices else []
    if now is not None:
        words.append(f"{'' if choices else path + ' '}is {format_value(now)} in the configuration")
    return "; ".join(words)


def _names_with(typed: str, names: Sequence[str]) -> str:
    found = [name for name in names if typed in name] if typed else []
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return ", ".join(found[:MOST_NAMES]) + more


def _choices(name: str, names: Sequence[str]) -> list[str]:
    path = _path(name, names)
    return value_choices(path) if path is not None else []


def _path(name: str, names: Sequence[str]) -> str | None:
    """The full path of what was typed; None where it is no setting that can be typed here."""
    typed = name.strip()
    try:
        path = resolve_path(typed, "")
    except ConfigError:
        return None
    return path if path in names or typed in names else None
