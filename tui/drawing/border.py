"""The box around a pane, its title in the upper edge."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.tui.drawing.text import Row, Span, crop, fit, row, width_of

EDGES = 2
"""Cells or rows that the two edges take."""
INSET = 2
"""Cells between an edge and the text, both sides together."""
HEADING_EDGES = 11
"""Cells of the upper edge that are neither the title nor what stands at its right."""
NARROWEST = 12
"""Cells below which a box would hold nothing but its edges."""


def bordered(title: Row, right: Row, body: Sequence[Row], width: int, height: int) -> list[Row]:
    """Exactly `height` rows of exactly `width` cells; a body that is too long is cut."""
    if width < NARROWEST or height < EDGES:
        return [fit(line, width) for line in body[:height]]
    inner = width - EDGES - INSET
    rows = [_top(title, right, width)]
    lines = [*body[: height - EDGES], *[()] * (height - EDGES - len(body))]
    rows += [row(Span("│ ", "frame"), fit(line, inner), Span(" │", "frame")) for line in lines]
    return [*rows, (Span("╰" + "─" * (width - EDGES) + "╯", "frame"),)]


def _top(title: Row, right: Row, width: int) -> Row:
    room = width - 7  # `╭─ ` and ` ──╮` around the title
    left = crop(title, room)
    rest = room - width_of(left)
    if right and rest < width_of(right) + 4:  # three dashes at least tell the two apart
        right = ()
    start = row(Span("╭─ ", "frame"), left, " ") if left else row(Span("╭───", "frame"))
    end = row(" ", right, Span(" ─╮", "frame")) if right else row(Span("──╮", "frame"))
    dashes = width - width_of(start) - width_of(end)
    return row(start, Span("─" * max(0, dashes), "frame"), end)
