"""The window of a training as a line from its start to the deadline, with the clock times of what is on it."""

from __future__ import annotations

from typing import NamedTuple

from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.drawing.text import Row, Span, clock, row, width_of

NOW, P50, P90, SAFE = "●", "◆", "◇", "┊"
NARROWEST = 60
"""Cells below which the marks would lie on one another."""
GAP = 2
"""Cells between two labels."""


class TimeMark(NamedTuple):
    """A moment on the line."""

    epoch: float
    """Seconds since the epoch."""
    glyph: str
    name: str
    style: str = "mark"


def has_axis(run: RunState, width: int) -> bool:
    """Whether there is a window to be drawn, and room for it."""
    window = run.window
    known = window is not None and run.training is not None and window.deadline > run.started_at
    return known and width >= NARROWEST


def draw_axis(run: RunState, width: int, now: float) -> list[Row]:
    """The line and, below it, what its marks are with their clock times; nothing without a window."""
    window = run.window
    if window is None or not has_axis(run, width):
        return []
    start, end = clock(run.started_at, now), clock(window.deadline, now)
    room = width - len(start) - len(end) - 2
    marks = _marks(run, now)
    columns = [_column(mark.epoch, run, window.deadline, room) for mark in marks]
    cells = [Span("━", "bar")] * columns[0] + [Span("─", "rest")] * (room - columns[0])
    for mark, x in reversed(list(zip(marks, columns, strict=True))):  # the first ones over the later ones
        cells[x] = Span(mark.glyph, mark.style)
    line = row(Span(start + " ", "dim"), *cells, Span(" " + end, "dim"))
    return [line, _labels(now, marks, [len(start) + 1 + x for x in columns], width)]


def _marks(run: RunState, now: float) -> list[TimeMark]:
    """The most important first: where room is short the last ones have no label."""
    marks = [TimeMark(now, NOW, "ended" if run.status is RunStatus.FINISHED else "now", "bar")]
    eta = run.training.eta if run.training is not None else None
    if eta is not None and run.status is not RunStatus.FINISHED:
        for seconds, glyph, name in ((eta.p50_seconds, P50, "p50"), (eta.p90_seconds, P90, "p90")):
            if seconds is not None:
                marks.append(TimeMark(run.ahead(eta.t, seconds), glyph, name))
    if run.window is not None and run.window.margin_seconds:
        marks.insert(2, TimeMark(run.window.safe_until, SAFE, "safe", "limit"))
    return marks


def _column(epoch: float, run: RunState, deadline: float, room: int) -> int:
    share = (epoch - run.started_at) / (deadline - run.started_at)
    return min(room - 1, max(0, round(share * (room - 1))))


def _labels(now: float, marks: list[TimeMark], columns: list[int], width: int) -> Row:
    """Each as near to its mark as its neighbours let it; those that find no room are left out, the last ones first."""
    texts = [row(Span(mark.glyph, mark.style), Span(f" {mark.name} ", "dim"), clock(mark.epoch, now)) for mark in marks]
    for count in range(len(marks), 0, -1):
        order = sorted(range(count), key=lambda i: columns[i])
        starts = _placed([(columns[i], width_of(texts[i])) for i in order], width)
        if starts is not None:
            line: Row = ()
            for i, start in zip(order, starts, strict=True):
                line = row(line, " " * (start - width_of(line)), texts[i])
            return line
    return ()


def _placed(wanted: list[tuple[int, int]], width: int) -> list[int] | None:
    """Starts of labels at (column, length) in order, each around its column; None where they do not fit."""
    starts: list[int] = []
    free = 0
    for column, length in wanted:
        starts.append(max(free, column - length // 2))
        free = starts[-1] + length + GAP
    limit = width
    for i in range(len(wanted) - 1, -1, -1):
        starts[i] = min(starts[i], limit - wanted[i][1])
        limit = starts[i] - GAP
    return starts if not starts or starts[0] >= 0 else None
