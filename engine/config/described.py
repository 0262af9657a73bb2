"""What each setting is: its values, its default and its meaning, as they stand at its field.

Run as a module it prints the page of the documentation.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from speedtui.engine.config import settings as definitions
from speedtui.engine.config.bounds import bounds_in, bounds_words
from speedtui.engine.config.settings import Section, Settings
from speedtui.engine.output import say

_NAMES = {str: "text", bool: "true or false", int: "whole number", float: "number"}

PAGE_HEAD = """\
# Settings of speedtui.toml

Written by `make docs` from `engine/config/settings.py`, as is `speedtui help settings [WORD ...]`. A setting without a
default is not set; numbers are written plainly, spans as `30m` or `2h30m`, sizes as `24GiB`.\
"""


class DescribedSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, in words."""

    path: str
    values: str
    """Which ones it may have."""
    default: str
    """As it would be written; empty where it is not set."""
    meaning: str


@cache
def described_settings() -> tuple[DescribedSetting, ...]:
    """Every setting, in the order of the file."""
    return tuple(_below(Settings, ""))


def matching_settings(words: Iterable[str]) -> list[DescribedSetting]:
    """Those in whose path, values or meaning every word occurs, upper case or lower."""
    wanted = [word.casefold() for word in words]
    return [
        setting
        for setting in described_settings()
        if all(word in f"{setting.path} {setting.values} {setting.meaning}".casefold() for word in wanted)
    ]


def settings_page() -> str:
    """All of it as Markdown, a table for each table of the file."""
    lines = [PAGE_HEAD]
    table = ""
    for setting in described_settings():
        above, _, name = setting.path.rpartition(".")
        if table != (above or name):
            table = above or name
            lines += [f"\n## [{table}]\n", "| setting | values | default | meaning |", "|---|---|---|---|"]
        default = f"`{setting.default}`" if setting.default else ""
        cells = (f"`{name}`" if above else "", setting.values, default, setting.meaning)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _below(section: type[Section], prefix: str) -> Iterator[DescribedSetting]:
    meanings, hints = _meanings()[section.__name__], get_type_hints(section, include_extras=True)
    tables = {name for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Section)}
    fields = msgspec.structs.fields(section)
    for field in sorted(fields, key=lambda field: bool(prefix) and field.name in tables):
        if field.name in tables:
            yield from _below(hints[field.name], f"{prefix}{field.name}.")
            continue
        default = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        yield DescribedSetting(
            path=prefix + field.name, values=_values(hints[field.name]), default=_written(default),
            meaning=meanings.get(field.name, ""),
        )  # fmt: skip


@cache
def _meanings() -> dict[str, dict[str, str]]:
    """Texts below the fields, by class and field; Python itself does not keep them."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(definitions)).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {
                field.target.id: re.sub(r"\s+", " ", inspect.cleandoc(text.value.value).replace("\n\n", r"\n\n"))
                for field, text in zip(node.body, node.body[1:], strict=False)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                and isinstance(text.value.value, str)
            }  # fmt: skip
    return found


def _values(kind: Any) -> str:
    """`whole number, at least 1`; the values themselves where they are few."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(_values(option) for option in arguments if option is not type(None))
    if origin is Annotated:
        bounds = bounds_in(kind)
        return _values(arguments[0]) + (f", {bounds_words(bounds)}" if bounds is not None else "")
    if origin is Literal:
        return " | ".join(arguments)
    if origin is list:
        inner = _values(arguments[0])
        return "list of " + (inner if " | " in inner else inner.removesuffix("s") + "s")
    return "table" if origin is dict else _NAMES[kind]


def _written(default: Any) -> str:
    if default is None or default in ({}, []):
        return ""
    return msgspec.json.encode(default).decode()


if __name__ == "__main__":
    say(settings_page())
