"""Charts as rows of text: curves in the dots of braille cells, joined by plotext, marks in whole ones.

A value's dot lies in the cell of its mark and of its tick: all three are placed by `Axis.place`. The rows then go
through `Lines`, which sends only those that changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from speedtui.tui.drawing.axes import Axis
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.textual_privates import set_plot_size

BRAILLE = "braille"
DOTS = (2, 4)
"""Of a braille cell, across and down."""
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_BRAILLE_CELLS = range(0x2801, 0x2900)
X_AXIS_ROWS = 2
"""The line and its labels."""
LIMIT = "│"

ChartPoint = tuple[float, float]
Dot = tuple[int, int]
"""From the left and from the bottom."""
Cells = list[list[str]]
"""Characters of the area between the axes, the upper row first."""


class Series(NamedTuple):
    """Points in one marker: `braille` joins them by a line, any character marks each."""

    points: Sequence[ChartPoint]
    marker: str = BRAILLE


class _PlacedChart(NamedTuple):
    """All that a chart is drawn from, in dots: what cannot be seen does not have it drawn again."""

    series: tuple[tuple[str, tuple[Dot, ...]], ...]
    x: Axis
    y: Axis
    columns: int
    lines: int
    limit: int | None
    texts: tuple[tuple[int, int, str], ...]


def draw_plot(
    series: Sequence[Series], x: Axis, y: Axis, width: int, height: int, *, styles: Mapping[str, str],
    limit: float | None = None, texts: Sequence[tuple[float, float, str]] = (),
) -> list[Row]:  # fmt: skip
    """`height` rows. `styles` gives markers their style, `limit` draws an upright line, `texts` are (x, y, text)."""
    columns, lines = plot_columns(y, width), max(1, height - X_AXIS_ROWS)
    if columns < 1:
        return [()] * height
    plot = _PlacedChart(
        tuple((one.marker, _dots(one.points, x, y, columns, lines)) for one in series), x, y, columns, lines,
        None if limit is None else x.place(limit, columns),
        tuple((x.place(at, columns), y.place(up, lines), text) for at, up, text in texts),
    )  # fmt: skip
    return _drawn(plot, tuple(styles.items()))[:height]


def plot_columns(y: Axis, width: int) -> int:
    """Cells between the upright axis with its labels and the right edge."""
    return width - 1 - max((len(label) for _, label in y.ticks), default=0)


def _dots(points: Sequence[ChartPoint], x: Axis, y: Axis, columns: int, lines: int) -> tuple[Dot, ...]:
    placed = ((x.place(px, columns * DOTS[0]), y.place(py, lines * DOTS[1])) for px, py in points)
    return tuple(dict.fromkeys(placed))


@lru_cache(maxsize=6)  # the charts of a screen: working out the characters is most of what a redraw costs
def _drawn(plot: _PlacedChart, styles: tuple[tuple[str, str], ...]) -> list[Row]:
    cells = [[" "] * plot.columns for _ in range(plot.lines)]
    if plot.limit is not None:
        for line in cells:
            line[plot.limit] = LIMIT
    for marker, dots in plot.series:
        if marker == BRAILLE:
            _draw_curve(cells, dots)
    for marker, dots in plot.series:
        if marker != BRAILLE:
            _draw_marks(cells, dots, marker)
    for column, up, text in plot.texts:
        line = cells[plot.lines - 1 - up]
        line[column : column + len(text)] = text[: plot.columns - column]
    return [_styled(line, dict(styles)) for line in (*_with_y_axis(cells, plot.y), *_x_axis(plot))]


def _draw_marks(cells: Cells, dots: Sequence[Dot], marker: str) -> None:
    for across, up in dots:
        cells[len(cells) - 1 - up // DOTS[1]][across // DOTS[0]] = marker


def _draw_curve(cells: Cells, dots: Sequence[Dot]) -> None:
    """Over what is in the cells already, where the curve has dots."""
    figure, lines, columns = _figure(), len(cells), len(cells[0])
    figure.clear_figure()
    figure.theme("clear")
    figure.plotsize(columns, lines)
    set_plot_size(figure, columns, lines)
    figure.frame(False)
    figure.xticks([])
    figure.yticks([])
    figure.xlim(0, columns * DOTS[0] - 1)
    figure.ylim(0, lines * DOTS[1] - 1)
    draw = figure.plot if len(dots) > 1 else figure.scatter
    draw([across for across, _ in dots], [up for _, up in dots], marker=BRAILLE)
    for line, drawn in zip(cells, figure.build().splitlines(), strict=False):
        for column, character in enumerate(_ESCAPE.sub("", drawn)[:columns]):
            if ord(character) in _BRAILLE_CELLS:
                line[column] = character


@lru_cache(maxsize=1)
def _figure() -> Any:
    # Imported at the first curve: it costs 50 ms that the first paint need not wait for.
    from textual_plotext import Plot

    return Plot()


def _with_y_axis(cells: Cells, y: Axis) -> list[str]:
    """At most one tick in each row."""
    labels = {y.place(value, len(cells)): label for value, label in reversed(y.ticks)}
    width = max((len(label) for label in labels.values()), default=0)
    rows = []
    for i, line in enumerate(cells):
        label = labels.get(len(cells) - 1 - i)
        rows.append(f"{label or '':>{width}}{'│' if label is None else '┤'}{''.join(line)}")
    return rows


def _x_axis(plot: _PlacedChart) -> list[str]:
    """The line with its ticks, and their labels: all of them, or every second one, or so on, as there is room."""
    margin = max((len(label) for _, label in plot.y.ticks), default=0)
    stride, placed = 1, _labels(plot, margin, 1)
    while placed is None:
        stride += 1
        placed = _labels(plot, margin, stride)
    line, words = list("─" * plot.columns), [" "] * (margin + 1 + plot.columns)
    for column, start, label in placed:
        line[column] = "┬"
        words[start : start + len(label)] = label
    if plot.limit is not None:
        line[plot.limit] = "┴"
    return [" " * margin + "└" + "".join(line), "".join(words).rstrip()]


def _labels(plot: _PlacedChart, margin: int, stride: int) -> list[tuple[int, int, str]] | None:
    """(its column, where it starts, its text) of every `stride`th tick; None where two of them would touch."""
    width = margin + 1 + plot.columns
    found = []
    for value, label in plot.x.ticks[::stride]:
        column = plot.x.place(value, plot.columns)
        found.append((column, max(0, min(margin + 1 + column - len(label) // 2, width - len(label))), label))
    found.sort()
    touching = any(start + len(label) >= after for (_, start, label), (_, after, _) in pairwise(found))
    return None if touching else found


def _styled(line: str, styles: Mapping[str, str]) -> Row:
    """Neighbouring cells of one style as one span."""
    spans: list[Span] = []
    for character in line:
        style = "curve" if ord(character) in _BRAILLE_CELLS else styles.get(character, "dim")
        if spans and (spans[-1].style == style or character == " "):
            spans[-1] = Span(spans[-1].text + character, spans[-1].style)
        else:
            spans.append(Span(character, style))
    return row(*spans)
