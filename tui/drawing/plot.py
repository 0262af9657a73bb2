"""Charts as rows of text. The only file that knows plotext.

plotext works out the characters; the rows then go through `Lines`, which sends only those that changed.
Axes are fixed from outside and widened in steps, so that a new point changes a few cells and not every row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from speedtui.tui.drawing.text import Row, Span, row

BRAILLE = "braille"
DOTS = (2, 4)
"""Of a braille cell, across and down."""
CORNER = "└"
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_BRAILLE_CELLS = range(0x2801, 0x2900)

EDGE_STEPS = 2
"""An axis ends at a half of its tick step: near enough to the values, and seldom moved."""

X_AXIS_ROWS = 2
"""The line and its labels."""

Point = tuple[float, float]


class Series(NamedTuple):
    """Points in one marker: `braille` joins them by a line, any character marks each."""

    points: Sequence[Point]
    marker: str = BRAILLE


class Axis(NamedTuple):
    """A fixed range with its ticks."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def draw_plot(
    series: Sequence[Series], x: Axis, y: Axis, width: int, height: int, *, styles: Mapping[str, str],
    limit: float | None = None, texts: Sequence[tuple[float, float, str]] = (),
) -> list[Row]:  # fmt: skip
    """`height` rows. `styles` gives markers their style, `limit` draws an upright line, `texts` are (x, y, text)."""
    figure = _figure()
    figure.clear_figure()
    figure.theme("clear")
    figure.plotsize(width, height)
    figure._set_size(width, height)
    figure.xlim(x.low, x.high)
    figure.ylim(y.low, y.high)
    figure.xaxes(True, False)
    figure.yaxes(True, False)
    figure.xticks([value for value, _ in x.ticks], [label for _, label in x.ticks])
    upwards = _one_a_row(y, height - X_AXIS_ROWS)
    figure.yticks([value for value, _ in upwards], [label for _, label in upwards])
    if limit is not None:
        figure.vline(limit)
    curves = [points for points, marker in series if points and marker == BRAILLE]
    marks = [(points, marker) for points, marker in series if points and marker != BRAILLE]
    for points in curves:
        draw = figure.plot if len(points) > 1 else figure.scatter
        draw([px for px, _ in points], [py for _, py in points], marker=BRAILLE)
    for points, marker in () if curves else marks:
        figure.scatter([px for px, _ in points], [py for _, py in points], marker=marker)
    for text_x, text_y, text in texts:
        figure.text(text, x=text_x, y=text_y, alignment="left")
    lines = [_ESCAPE.sub("", line)[:width] for line in figure.build().splitlines()[:height]]
    return [_styled(line, styles) for line in (_with_marks(lines, marks, x, y) if curves else lines)]


def _with_marks(lines: list[str], marks: Sequence[tuple[Sequence[Point], str]], x: Axis, y: Axis) -> list[str]:
    """Marks on the curves that they belong to: plotext rounds a mark to a cell and a curve to a dot of one, and the two
    may then lie a row apart."""
    bottom = next((i for i, line in enumerate(lines) if CORNER in line), 0)
    if not bottom:
        return lines
    left = lines[bottom].index(CORNER) + 1
    columns, cells = len(lines[bottom]) - left, [list(line) for line in lines]
    for points, marker in marks:
        for px, py in points:
            column = _dot(px, x, columns * DOTS[0]) // DOTS[0]
            above = _dot(py, y, bottom * DOTS[1]) // DOTS[1]
            line = cells[bottom - 1 - above] if 0 <= above < bottom else []
            if 0 <= column < len(line) - left:
                line[left + column] = marker
    return ["".join(line) for line in cells]


def _dot(value: float, axis: Axis, dots: int) -> int:
    """The dot of a curve that a value falls on, as plotext rounds."""
    return math.floor(0.5 + (dots - 1) * (value - axis.low) / (axis.high - axis.low))


def _one_a_row(axis: Axis, rows: int) -> list[tuple[float, str]]:
    """The ticks, at most one in each row: of two in one row plotext would show either."""
    span = axis.high - axis.low
    by_row = {round((value - axis.low) / span * (rows - 1)): (value, label) for value, label in reversed(axis.ticks)}
    return list(by_row.values())


@lru_cache(maxsize=1)
def _figure() -> Any:
    # Imported at the first chart: it costs 50 ms that the first paint need not wait for.
    from textual_plotext import Plot

    return Plot()


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


def nice_step(span: float, parts: int) -> float:
    """1, 2 or 5 times a power of ten, so that about `parts` of it make the span."""
    rough = span / max(1, parts)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def value_axis(values: Sequence[float], parts: int, *, from_zero: bool = False) -> Axis:
    """An axis around the values whose ends are round numbers, so that it stays as it is for most new values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if from_zero:
        low = 0.0
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = (0.0, high * 1.5) if high > 0 else (low - 0.5, high + 0.5)
    edge = nice_step(high - low, parts * EDGE_STEPS)
    low, high = math.floor(low / edge + 1e-9) * edge, math.ceil(high / edge - 1e-9) * edge
    step = nice_step(high - low, parts)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return Axis(low, high, tuple((i * step, f"{i * step:.{digits}f}") for i in numbers))
