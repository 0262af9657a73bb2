"""Logs in which every text that somebody else may have written holds what a terminal, a page or Textual obeys."""

from __future__ import annotations

import itertools
import sys
import types
import unicodedata
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from speedtui.engine import events as e

POISONS = (
    "\x1b]52;c;ZWNobyBoaQ==\x07", "\x1b]0;title\x1b\\", "\x1b[2J\x1b[31m", "\x9b31m\x9d0;title\x9c", "\r\nFAKE done",
    "\u2028FAKE\u2029FAKE", "\u202ednammoc\u202c", "\u2066a\u2069\u200e\u200f\u061c", "\u200b\u200c\u200d\u2060\ufeff",
    "\U000e0068\U000e0069", "[bold red]x[/] lora[r=8] exp[lr=1e-4] [/]", '=HYPERLINK("http://x")', "\x00\x08\x7f",
    "\t|`$(x)`<script>alert(1)</script>", "\u3164\u115f\u00ad\u034f",
)  # fmt: skip
"""What takes the clipboard, the title, colours; lines that are none of ours; other directions; what is not seen; markup
of Textual, formulas of spreadsheets, cells of Markdown, elements of HTML."""
DRAWN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Called format characters by Unicode, and drawn."""
UNSEEN = frozenset(
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
) - frozenset(DRAWN) | frozenset("\u3164\u115f\u034f")  # fmt: skip
"""None of it may leave, but for the ends of lines."""


def found_in(text: str) -> set[str]:
    """What a terminal would obey or not show in a text, and lines that somebody else wrote."""
    fake = {"a line of the log's own" for line in text.splitlines() if line.lstrip().startswith("FAKE")}
    return {hex(ord(letter)) for letter in UNSEEN & set(text) - {"\n"}} | fake


class Poison:
    """Puts one poison after the other into the texts of values."""

    def __init__(self, words: Iterable[str] = POISONS) -> None:
        self._words = itertools.cycle(words)

    def text(self, before: str = "") -> str:
        """What was there, opened and ended by a poison."""
        return f"{next(self._words)}{before}{next(self._words)}"

    def into(self, value: Any, hint: Any) -> Any:
        """The same value with a poison in each text that may be any text, and in a key of each dict."""
        if isinstance(value, msgspec.Struct):
            hints = get_type_hints(type(value))
            fields = {name: self.into(getattr(value, name), hints[name]) for name in value.__struct_fields__}
            return msgspec.structs.replace(value, **fields)
        if isinstance(value, Enum) or value is None:
            return value
        if isinstance(value, str):
            return self.text(value) if _any_text(hint) else value
        inner = _inner(hint, type(value))
        if isinstance(value, dict):
            entries = {key: self.into(entry, inner[-1]) for key, entry in value.items()}
            more = next(iter(value.values()), None if inner[-1] is Any else self.made(inner[-1]))
            return entries | ({self.text(): self.into(more, inner[-1])} if _any_text(inner[0]) else {})
        if isinstance(value, list | tuple):
            return type(value)(self.into(entry, inner[0]) for entry in value)
        return value

    def made(self, hint: Any) -> Any:
        """A value of a type, with all that it can hold, every text of it poisoned."""
        if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
            hints = get_type_hints(hint)
            return hint(**{name: self.made(hints[name]) for name in hint.__struct_fields__})
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Literal:
            return arguments[0]
        if origin in (Union, types.UnionType):
            return self.made(next((one for one in arguments if one is str), arguments[0]))
        if origin is dict:
            return {(self.text() if arguments[0] is str else self.made(arguments[0])): self.made(arguments[1])}
        if origin in (list, tuple):
            entries = [self.made(one) for one in arguments if one is not ...]
            return entries if origin is list else tuple(entries)
        if isinstance(hint, type) and issubclass(hint, Enum):
            return next(iter(hint))
        return {str: self.text, float: lambda: 1.0, int: lambda: 1, bool: lambda: True}.get(hint, self.text)()


def poisoned(log: Iterable[e.AnyEvent], poison: Poison | None = None) -> list[e.AnyEvent]:
    """The log with every text poisoned; the settings of its run stay such as can be read."""
    poison = poison or Poison()
    events = []
    for event in log:
        kept = {"config": configured(event.config, poison)} if isinstance(event, e.RunStarted) else {}
        events.append(msgspec.structs.replace(poison.into(event, type(event)), **kept))
    return events


def configured(config: dict[str, Any], poison: Poison) -> dict[str, Any]:
    """A configuration that can be read, with a poison wherever any text may stand."""
    names = {"model": ("path", "tokenizer"), "data": ("train", "prompt", "response"), "track": ("project", "name")}
    tables = {
        table: {**config[table], **{name: poison.text(config[table].get(name) or "") for name in names[table]}}
        for table in names
        if table in config
    }
    return {**config, **tables, "recipe": {poison.text(): poison.text()}}


def one_of_each(poison: Poison | None = None) -> Iterator[e.AnyEvent]:
    """An event of every type, with all fields."""
    poison = poison or Poison()
    for kind in get_args(e.AnyEvent):
        yield poison.made(kind)


def _any_text(hint: Any) -> bool:
    return hint is str or hint is Any or (get_origin(hint) in (Union, types.UnionType) and str in get_args(hint))


def _inner(hint: Any, kind: type) -> tuple[Any, ...]:
    """The types of what a list, tuple or dict holds."""
    for one in (hint, *get_args(hint)):
        if get_origin(one) is kind and get_args(one):
            return get_args(one)
    return (Any, Any)
