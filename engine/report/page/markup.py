"""HTML and SVG as text in which everything that came from outside is clean and escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


def table(head: Sequence[str], rows: Sequence[Markup], *, numbers: Sequence[bool]) -> Markup:
    """Rows made by `cells` under a head; `numbers` says which columns are figures. Wide ones scroll."""
    names = [tag("th", name, class_="n" if number else None) for name, number in zip(head, numbers, strict=True)]
    return tag("div", tag("table", tag("thead", tag("tr", *names)), tag("tbody", *rows)), class_="scroll")


def cells(values: Sequence[str], *, numbers: Sequence[bool], class_: str | None = None) -> Markup:
    """One row."""
    row = [tag("td", value, class_="n" if number else None) for value, number in zip(values, numbers, strict=True)]
    return tag("tr", *row, class_=class_)


def facts(pairs: Sequence[tuple[str, str]]) -> Markup:
    """Names with their values; those without a value are left out."""
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in pairs if value))


def section(title: str, *content: Markup, note: str = "") -> Markup:
    """A part of the page; nothing where it has no content."""
    body = join(content)
    if not body:
        return EMPTY
    return tag("section", tag("h2", title), tag("p", note) if note else EMPTY, body)
