"""Tables and lists of facts."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.report.page.markup import EMPTY, Markup, join, tag


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
