"""Throughput against peak memory: the fastest trial is the highest one left of the limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import GIB, MIB, format_count
from speedtui.tui.candidates.figures import lead, measured, memory_of
from speedtui.tui.drawing.axes import Axis, value_axis
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.plot import X_AXIS_ROWS, Series, draw_plot, plot_columns
from speedtui.tui.drawing.text import Row, Span, pack, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import TrialPane, empty_pane, title

DOT, BEATEN, EXPECTED, BEST, UNPROVEN, CURSOR = "●", "•", "○", "★", "☆", "◆"
STYLES = {DOT: "good", BEATEN: "dim", EXPECTED: "warn", BEST: "good", UNPROVEN: "warn", CURSOR: "accent"}
DRAWN = (EXPECTED, BEATEN, DOT, BEST, UNPROVEN, CURSOR)
"""In this order, so that the last of two dots in one cell is the one that matters more."""
LEGEND_GAP = 43
"""Cells of the edge that the legend leaves to the title."""
LEAST_HEIGHT = 4
LIMIT = "limit"
CROWD = 30
"""Dots from which on those that are beaten in both have no number: the table has it."""
LABELS = 3
"""Numbers of trials beside dots that touch; more are counted."""


class TrialDot(NamedTuple):
    """A trial in the chart."""

    trial: int
    peak: float
    """Bytes, later in the unit of the axis."""
    rate: float
    """Tokens a second; 0 where it is not measured."""
    mark: str


class ScatterGrid(NamedTuple):
    """How the chart is divided: what lies in one cell cannot be told apart."""

    width: int
    """With the labels of the upright axis."""
    columns: int
    lines: int


class ScatterPane(TrialPane):
    """A chart that changes when a trial ends or the cursor moves."""

    SLOW = True

    def due(self, frame: Frame) -> bool:
        if self.frame is None:
            return True
        return dots(frame.study.study, None) != dots(self.frame.study.study, None)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_scatter(frame.study, self.selected, width, height)


def dots(study: StudyState | None, selected: int | None) -> list[TrialDot]:
    """What can be placed; a trial that only has a prediction lies on the axis, its throughput being unknown."""
    if study is None:
        return []
    found = [dot for trial in study.rows if (dot := _dot(trial)) is not None]
    known = [dot for dot in found if dot.mark == DOT]
    ahead = lead(study)
    best = UNPROVEN if ahead is not None and ahead[1].open else BEST

    def mark(dot: TrialDot) -> str:
        if dot.trial == selected:
            return CURSOR
        if dot.trial == study.best and dot.mark == DOT:
            return best
        return BEATEN if dot.mark == DOT and _beaten(dot, known) else dot.mark

    return [dot._replace(mark=mark(dot)) for dot in found]


def _dot(trial: TrialRow) -> TrialDot | None:
    found, memory = measured(trial), memory_of(trial)
    if found is not None and memory is not None and memory.peak_bytes is not None:
        return TrialDot(trial.candidate.id, memory.peak_bytes, found.tokens_per_second, DOT)
    open_still = trial.status in (TrialStatus.RUNNING, TrialStatus.QUEUED, TrialStatus.WAITING)
    if open_still and trial.predicted_bytes is not None:
        return TrialDot(trial.candidate.id, trial.predicted_bytes, 0.0, EXPECTED)
    return None


def _beaten(dot: TrialDot, others: Sequence[TrialDot]) -> bool:
    """Whether another one is as fast in less memory, or faster in no more."""
    return any(
        other.peak <= dot.peak and other.rate >= dot.rate and (other.peak, other.rate) != (dot.peak, dot.rate)
        for other in others
    )


def draw_scatter(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    name = title("Throughput against peak memory")
    placed = dots(run.study, selected)
    if not any(dot.rate for dot in placed) or inner_height < LEAST_HEIGHT:
        return empty_pane(name, "Appears with the first trial that is measured.", width, height)
    limit = _limit(run)
    largest = max([dot.peak for dot in placed] + ([limit] if limit is not None else []))
    unit, unit_name = (GIB, "GiB") if largest >= 2 * GIB else (MIB, "MiB")
    name = title(f"Tokens/s against peak {unit_name}")
    placed = [dot._replace(peak=dot.peak / unit) for dot in placed]
    limit = limit / unit if limit is not None else None
    sizes = [dot.peak for dot in placed] + ([limit] if limit is not None else [])
    lines = inner_height - X_AXIS_ROWS
    y = _rate_axis([dot.rate for dot in placed], lines)
    cells = ScatterGrid(inner_width, plot_columns(y, inner_width), lines)
    x = value_axis(sizes, cells.columns, parts=max(2, inner_width // 14), from_zero=True)
    under = len(placed) - len(_by_cell(placed, x, y, cells))
    legend = _legend({dot.mark for dot in placed}, selected, unit_name, limit, under, width - LEGEND_GAP)
    return bordered(name, legend, _plot(placed, x, y, cells, limit), width, height)


def _plot(placed: Sequence[TrialDot], x: Axis, y: Axis, cells: ScatterGrid, limit: float | None) -> list[Row]:
    series = [Series([(dot.peak, dot.rate) for dot in placed if dot.mark == mark], mark) for mark in DRAWN]
    texts = [(x.value(column, cells.columns), y.value(line, cells.lines), text)
             for line, column, text in labels(placed, x, y, cells)]  # fmt: skip
    if limit is not None:
        texts += _limit_label(placed, x, y, cells, limit)
    return draw_plot(series, x, y, cells.width, cells.lines + X_AXIS_ROWS, styles=STYLES, limit=limit, texts=texts)


def _limit_label(
    placed: Sequence[TrialDot], x: Axis, y: Axis, cells: ScatterGrid, limit: float
) -> list[tuple[float, float, str]]:  # fmt: skip
    """A word left of the line of the limit, in the highest row in which nothing is in its way."""
    column = x.place(limit, cells.columns) - len(LIMIT) - 1
    taken = set(_by_cell(placed, x, y, cells))
    taken |= {(line, start + i) for line, start, text in labels(placed, x, y, cells) for i in range(len(text))}
    for line in range(cells.lines - 1, 0, -1):
        if column > 0 and not {(line, column + i) for i in range(-1, len(LIMIT) + 1)} & taken:
            return [(x.value(column, cells.columns), y.value(line, cells.lines), LIMIT)]
    return []


def labels(placed: Sequence[TrialDot], x: Axis, y: Axis, cells: ScatterGrid) -> list[tuple[int, int, str]]:
    """(line, column, text) of the trials' numbers: right of their dot, else left of it, else none.

    No number covers a dot or another number; dots in one cell have their numbers in one text.
    """
    together = _by_cell(placed, x, y, cells)
    taken = set(together)
    found = []
    unnamed = {BEATEN} if len(placed) > CROWD else set()
    order = sorted(together.items(), key=lambda item: min(DRAWN[::-1].index(dot.mark) for dot in item[1]))
    for (line, column), dots_there in order:
        text = _numbers(dots_there)
        if all(dot.mark in unnamed for dot in dots_there):
            continue
        for start, beyond in ((column + 1, column + 1 + len(text)), (column - len(text), column - len(text) - 1)):
            wanted = {(line, at) for at in range(start, start + len(text))}
            clear = not (wanted | {(line, beyond)}) & taken  # a number that touched two dots could be of either
            if clear and start >= 0 and start + len(text) <= cells.columns:
                taken |= wanted
                found.append((line, start, text))
                break
    return found


def _by_cell(placed: Sequence[TrialDot], x: Axis, y: Axis, cells: ScatterGrid) -> dict[tuple[int, int], list[TrialDot]]:
    together: dict[tuple[int, int], list[TrialDot]] = {}
    for dot in placed:
        at = y.place(dot.rate, cells.lines), x.place(dot.peak, cells.columns)
        together.setdefault(at, []).append(dot)
    return together


def _numbers(group: Sequence[TrialDot]) -> str:
    numbers = ",".join(str(dot.trial) for dot in group[:LABELS])
    return numbers if len(group) <= LABELS else f"{numbers}+{len(group) - LABELS}"


def _legend(
    marks: set[str], selected: int | None, unit: str, limit: float | None, under: int, width: int
) -> Row:  # fmt: skip
    """What the marks say, as far as there is room; the limit and the trial under the cursor before all,
    then how many dots lie under others."""
    words = {BEST: "best", UNPROVEN: "best, not proven", EXPECTED: "predicted", BEATEN: "beaten in both"}
    pieces = [row(Span(f"│ limit {limit:.4g} {unit}", "limit"))] if limit is not None else []
    pieces.append(row(Span(CURSOR, STYLES[CURSOR]), f" #{selected}") if CURSOR in marks else ())
    pieces.append(row(Span(f"{under} under others", "warn")) if under else ())
    pieces += [row(Span(mark, STYLES[mark]), Span(f" {text}", "dim")) for mark, text in words.items() if mark in marks]
    return pack(pieces, max(18, width), gap="  ")


def _limit(run: RunState) -> float | None:
    study = run.study
    if study is None:
        return None
    limits = [memory.limit_bytes for trial in study.rows if (memory := memory_of(trial)) is not None]
    known = [limit for limit in (study.memory_limit_bytes, *limits) if limit is not None]
    return float(known[0]) if known else None


def _rate_axis(rates: list[float], lines: int) -> Axis:
    axis = value_axis(rates, lines, parts=max(2, lines // 3), from_zero=True)
    return axis._replace(ticks=tuple((value, format_count(value).replace(".0k", "k")) for value, _ in axis.ticks))
