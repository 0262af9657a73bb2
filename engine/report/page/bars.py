"""Time as bars: the whole run in its phases, and what was expected beside what it took."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speedtui.engine.report.books import BooksRow
from speedtui.engine.report.page.axes import Scale, time_label, time_ticks
from speedtui.engine.report.page.markup import EMPTY, Markup, join, tag
from speedtui.engine.report.page.style import GROUP_CLASSES
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_share, format_span

WIDTH = 930
"""Of the drawing's own units; the page scales it."""
NAMES = 92
"""Room for the names of the bars."""
BAR = 30
NARROW = 34
"""A piece that is narrower has no share written into it."""
SHADES = (1.0, 0.78, 0.6, 0.46, 0.36, 0.28)
"""Opacity of the phases of one group, the largest first."""


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a bar."""

    name: str
    group: str
    """One of GROUPS."""
    seconds: float


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """Pieces one after the other."""

    name: str
    pieces: tuple[Piece, ...]
    whisker_seconds: float | None = None
    """Up to where nine of ten would come."""

    @property
    def seconds(self) -> float:
        """All of it."""
        return sum(piece.seconds for piece in self.pieces)


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """A deadline on the same time."""

    seconds: float
    safe_seconds: float
    """Less the margin."""
    label: str


def pieces_of(rows: Sequence[BooksRow]) -> tuple[Piece, ...]:
    """The phases, each group's largest first."""
    groups = list(dict.fromkeys(row.group for row in rows))
    ordered = sorted(rows, key=lambda row: (groups.index(row.group), -row.seconds))
    return tuple(Piece(name=phase_words(row.phase), group=row.group, seconds=max(row.seconds, 0.0)) for row in ordered)


def books_bar(rows: Sequence[BooksRow], wall_seconds: float) -> Markup:
    """The whole run in one bar."""
    if not rows or wall_seconds <= 0:
        return EMPTY
    x = Scale(low=0, high=wall_seconds, start=0, end=WIDTH)
    bar = _bar(pieces_of(rows), x, 2, 44, wall_seconds)
    return tag(
        "svg", bar, _time_axis(x, 46), viewBox=f"0 0 {WIDTH} 74", role="img", aria_label="The run's time by phase"
    )


def compared_bars(bars: Sequence[Bar], limit: Limit | None) -> Markup:
    """Bars below one another on one axis of time, with the deadline across them."""
    ends = [max(bar.seconds, bar.whisker_seconds or 0.0) for bar in bars]
    longest = max([*ends, limit.seconds if limit is not None else 0.0], default=0.0)
    if longest <= 0:
        return EMPTY
    top, step = (24 if limit is not None else 4), BAR + 16
    base = top + len(bars) * step - 8
    x = Scale(low=0, high=longest * 1.02, start=NAMES, end=WIDTH - 8)
    drawn = [_named(bar, x, top + i * step) for i, bar in enumerate(bars)]
    return tag(
        "svg", _limit(limit, x, top, base), *drawn, _time_axis(x, base),
        viewBox=f"0 0 {WIDTH} {base + 26}", role="img", aria_label="Expected and actual time",
    )  # fmt: skip


def _named(bar: Bar, x: Scale, top: float) -> Markup:
    middle, end = top + BAR / 2, x.at(bar.seconds)
    name = tag("text", bar.name, class_="strong", x=0, y=middle + 4)
    pieces = _bar(bar.pieces, x, top, BAR, bar.seconds)
    whisker = EMPTY
    if bar.whisker_seconds is not None and bar.whisker_seconds > bar.seconds:
        far = x.at(bar.whisker_seconds)
        path = f"M{end:.1f},{middle:.1f} H{far:.1f} M{far:.1f},{middle - 6:.1f} V{middle + 6:.1f}"
        whisker = tag(
            "path", tag("title", f"9 in 10 within {format_span(bar.whisker_seconds)}"), class_="whisker", d=path
        )
    return join([name, pieces, whisker])


def _bar(pieces: Sequence[Piece], x: Scale, top: float, height: float, whole: float) -> Markup:
    drawn, at, shade, group = [], 0.0, 0, ""
    for piece in pieces:
        shade = shade + 1 if piece.group == group else 0
        group = piece.group
        drawn.append(_piece(piece, x, at, top, height, whole, SHADES[min(shade, len(SHADES) - 1)]))
        at += piece.seconds
    return join(drawn)


def _piece(piece: Piece, x: Scale, at: float, top: float, height: float, whole: float, opacity: float) -> Markup:
    left, right = x.at(at), x.at(at + piece.seconds)
    share = piece.seconds / whole if whole else 0.0
    title = f"{piece.name}: {format_span(piece.seconds)}, {share * 100:.1f} %"
    rectangle = tag(
        "rect", tag("title", title), class_=f"{GROUP_CLASSES[piece.group]} seam", x=left, y=top,
        width=max(right - left, 0.3), height=height, fill_opacity=f"{opacity:g}",
    )  # fmt: skip
    if right - left < NARROW + 6 * len(piece.name):
        return rectangle
    text = f"{piece.name} {format_share(share)}"
    middle = (left + right) / 2
    return join([rectangle, tag("text", text, class_="on", x=middle, y=top + height / 2 + 4, text_anchor="middle")])


def _limit(limit: Limit | None, x: Scale, top: float, base: float) -> Markup:
    if limit is None:
        return EMPTY
    at, safe = x.at(limit.seconds), x.at(limit.safe_seconds)
    shade = tag("rect", class_="margin", x=safe, y=top - 4, width=max(at - safe, 0.0), height=base - top + 4)
    line = tag("line", class_="limit", x1=at, x2=at, y1=top - 6, y2=base)
    label = tag("text", limit.label, x=at, y=top - 11, text_anchor="end" if at > WIDTH * 0.7 else "middle")
    return join([shade, line, label])


def _time_axis(x: Scale, base: float) -> Markup:
    marks = []
    for seconds in time_ticks(x.high, 9):
        place = x.at(seconds)
        anchor = "start" if place < 12 else "end" if place > WIDTH - 20 else "middle"
        marks.append(tag("line", class_="grid", x1=place, x2=place, y1=base, y2=base + 5))
        marks.append(tag("text", time_label(seconds), x=place, y=base + 19, text_anchor=anchor))
    return join(marks)
