"""Curves over the steps of a training."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from speedtui.engine.report.page.axes import Scale, number_labels, ticks, value_scale
from speedtui.engine.report.page.markup import EMPTY, Markup, join, tag
from speedtui.engine.state.series import SeriesPoint, without_spikes
from speedtui.engine.units import format_figure

WIDTH = 930
"""Of the drawing's own units; the page scales it."""
HEIGHT = 250
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 14, 40
FEW_MARKS = 80
"""Up to so many marks each has its own circle; more would be a band."""


class ChartMark(msgspec.Struct, frozen=True, kw_only=True):
    """A single value on a curve."""

    x: float
    y: float
    title: str
    """Shown by the reader's browser when pointed at."""
    label: str = ""
    """Written beside it."""


def curve(
    points: Sequence[SeriesPoint], *, last_step: int, what: str, colour: str, marks: Sequence[ChartMark] = (),
    mark_colour: str = "evals", from_zero: bool = False,
    labels: Callable[[Sequence[float]], list[str]] = number_labels,
) -> Markup:  # fmt: skip
    """A chart of values against steps, with marks on it; `what` is read aloud for it."""
    values = [y for _, y in points] + [mark.y for mark in marks]
    if not values:
        return EMPTY
    x = Scale(low=0, high=max(last_step, 1), start=LEFT, end=WIDTH - RIGHT)
    y = value_scale(without_spikes(values), HEIGHT - BOTTOM, TOP, from_zero=from_zero)
    return tag(
        "svg",
        _grid(x, y, labels),
        _outside(values, y),
        _path(points, x, y, colour),
        _marks(marks, x, y, mark_colour),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=what,
    )  # fmt: skip


def _grid(x: Scale, y: Scale, labels: Callable[[Sequence[float]], list[str]]) -> Markup:
    at_y, at_x = ticks(y.low, y.high, 5), ticks(x.low, x.high, 8)
    at_x = [value for value in at_x if value == int(value)]
    rows = [
        join([
            tag("line", class_="grid", x1=LEFT, x2=WIDTH - RIGHT, y1=y.at(value), y2=y.at(value)),
            tag("text", text, x=LEFT - 9, y=y.at(value) + 4, text_anchor="end"),
        ])
        for value, text in zip(at_y, labels(at_y), strict=True)
    ]  # fmt: skip
    base = HEIGHT - BOTTOM
    columns = [tag("text", f"{value:,.0f}", x=x.at(value), y=base + 18, text_anchor="middle") for value in at_x]
    name = tag("text", "step", x=WIDTH - RIGHT, y=HEIGHT - 5, text_anchor="end")
    return join([*rows, tag("line", class_="zero", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base), *columns, name])


def _outside(values: Sequence[float], y: Scale) -> Markup:
    """What lies beyond the axis is drawn at its end."""
    found = [(f"▲ up to {format_figure(max(values))}", TOP + 4)] if max(values) > y.high else []
    found += [(f"▼ down to {format_figure(min(values))}", HEIGHT - BOTTOM - 6)] if min(values) < y.low else []
    words = [tag("text", text, class_="strong", x=WIDTH - RIGHT, y=at, text_anchor="end") for text, at in found]
    return join(words)


def _path(points: Sequence[SeriesPoint], x: Scale, y: Scale, colour: str) -> Markup:
    if not points:
        return EMPTY
    if len(points) == 1:
        return tag("circle", class_=colour, cx=x.at(points[0][0]), cy=y.at(points[0][1]), r=3)
    places = " ".join(f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points)
    return tag("polyline", class_=f"line {colour}", points=places)


def _marks(marks: Sequence[ChartMark], x: Scale, y: Scale, colour: str) -> Markup:
    if not marks:
        return EMPTY
    line = _path([(mark.x, mark.y) for mark in marks], x, y, colour) if len(marks) > 1 else EMPTY
    few = marks if len(marks) <= FEW_MARKS else [mark for mark in marks if mark.label]
    return join([line, *(_mark(mark, x, y, colour) for mark in few)])


def _mark(mark: ChartMark, x: Scale, y: Scale, colour: str) -> Markup:
    across, up = x.at(mark.x), y.at(mark.y)
    circle = tag(
        "circle", tag("title", mark.title), class_=f"{colour} seam", cx=across, cy=up, r=5.5 if mark.label else 3.6
    )
    if not mark.label:
        return circle
    at_right = across > WIDTH * 0.8
    text = tag(
        "text", mark.label, class_="strong", x=across + (-11 if at_right else 11), y=max(up - 9, TOP),
        text_anchor="end" if at_right else "start",
    )  # fmt: skip
    return join([circle, text])
