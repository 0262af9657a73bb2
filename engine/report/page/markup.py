"""HTML and SVG as text in which everything that came from outside is clean and escaped."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from speedtui.engine.clean import clean, clean_lines

VOID = ("meta", "br", "col")
"""Elements without an end."""


class Markup(str):
    """Text that is markup already; any other text is escaped when it is put into an element."""

    __slots__ = ()


EMPTY = Markup("")


def tag(name: str, /, *children: str | None, **attributes: str | float | None) -> Markup:
    """An element. `_` in an attribute's name stands for `-`, and one at its end is left out: `class_`.

    An attribute that is None is left out; a float is written to a tenth, which no eye tells from more.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in VOID:
        return Markup(f"<{name}{written}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[str | None]) -> Markup:
    """One after the other; None is nothing."""
    return Markup(
        "".join(child if isinstance(child, Markup) else escape(clean_lines(child)) for child in children if child)
    )


def _attribute(value: str | float) -> str:
    if isinstance(value, str):
        return escape(clean(value))
    return f"{value:.1f}".removesuffix(".0")
