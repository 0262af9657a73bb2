"""The chart of the loss: over the run or the last minutes, from low to high or by ratios, the evaluations on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speedtui.engine.state import TrainingState
from speedtui.engine.state.series import without_spikes
from speedtui.engine.state.windows import MINUTE, TEN_MINUTES
from speedtui.engine.units import format_count, format_figure, format_span
from speedtui.tui.drawing.axes import Axis, log_axis, nice_step, value_axis
from speedtui.tui.drawing.plot import X_AXIS_ROWS, ChartPoint, Series, draw_plot
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.frame import TimeRange
from speedtui.tui.panes.pane import middle

EVAL_MARK, LOSS_ONLY_MARK, BEST_MARK = "○", "◦", "★"
"""A full evaluation, one of the loss alone, and the best of all."""
ABOVE, BELOW = "▲", "▼"
"""At the end of the axis, what lies beyond it."""
STYLES = {EVAL_MARK: "mark", LOSS_ONLY_MARK: "mark", BEST_MARK: "mark", ABOVE: "warn", BELOW: "warn"}
STRETCHES: dict[TimeRange, str] = {"run": "whole run", "10m": "last 10 min", "1m": "last 1 min"}
SO_FAR = "run so far"
"""Instead of the whole run, while that would be a curve of a few columns."""
EARLY = 0.25
"""Share of a run up to which an axis reaches no further than what there is of it."""
AHEAD = 1.25
"""Of what there is, the least that such an axis shows: it stays as it is for a while."""
TIME_PARTS: dict[TimeRange, int] = {"10m": 5, "1m": 4}
"""Of a time axis, so that its ticks are at round times."""
ROWS_A_TICK = 3
LABEL_CELLS = 14
"""Of a step's label and the gap to the next."""
SMALLEST = (16, 4)
"""Columns and rows below which a chart says less than the numbers in the title."""


class Chart(NamedTuple):
    """The rows, and what is to be known of them."""

    rows: list[Row]
    stretch: str
    """Which part of the run it shows."""
    log: bool = False
    """Equal ratios are equally high."""
    outside: Row = ()
    """What lies beyond its axis."""


def draw_chart(training: TrainingState, axis: TimeRange, width: int, height: int, *, log: bool) -> Chart:
    """The chart at a size; where that is too small, how to see it. `log` has no effect where no loss is above zero."""
    over_run = step_axis(training.step, training.total_steps, width), training.losses
    x, losses = over_run if axis == "run" else _over_time(training, axis)
    stretch = SO_FAR if axis == "run" and x.high < training.total_steps else STRETCHES[axis]
    if width < SMALLEST[0] or height < SMALLEST[1]:
        return Chart(middle([row(Span("tab here, z: the curve", "dim"))], height)[:height], stretch)
    marked = _marked(training, x, by_time=axis != "run")
    values = [y for _, y in losses] + [y for series in marked for _, y in series.points]
    if not values:
        return Chart(middle([row(Span("No step in this stretch of time.", "dim"))], height), stretch)
    above_zero = [value for value in values if value > 0]
    log = log and bool(above_zero)
    y = _upwards(above_zero if log else values, height - X_AXIS_ROWS, log=log)
    points = [*losses, *(point for one in marked for point in one.points)]
    above = Series([point for point in points if point[1] > y.high], ABOVE)
    below = Series([point for point in points if point[1] < y.low], BELOW)
    series = (Series(losses), *marked, above, below)
    return Chart(draw_plot(series, x, y, width, height, styles=STYLES), stretch, log, _outside(values, y))


def _upwards(values: Sequence[float], lines: int, *, log: bool) -> Axis:
    if log:
        return log_axis(values, lines)
    return value_axis(without_spikes(values), lines, parts=max(2, lines // ROWS_A_TICK))


def _outside(values: Sequence[float], y: Axis) -> Row:
    above, below = max(values), min(values)
    pieces = [row(Span(f"{ABOVE} ", "warn"), f"up to {format_figure(above)}")] if above > y.high else []
    pieces += [row(Span(f"{BELOW} ", "warn"), f"down to {format_figure(below)}")] if below < y.low else []
    return row(*(row("  " if i else "", piece) for i, piece in enumerate(pieces)))


def _over_time(training: TrainingState, axis: TimeRange) -> tuple[Axis, Sequence[ChartPoint]]:
    """Ends at a round time a little ahead of now, so that the chart moves a stretch at a time; ticks stay in place."""
    recent = training.recent_losses
    course, seconds = (recent.minute, MINUTE) if axis == "1m" else (recent.ten_minutes, TEN_MINUTES)
    parts = [seconds * i / TIME_PARTS[axis] for i in range(TIME_PARTS[axis] + 1)]
    ticks = tuple(
        (course.end - back, f"-{format_span(back).removesuffix(' 00s')}" if back else "now") for back in parts
    )
    return Axis(course.end - seconds, course.end, ticks), course.points()


def _marked(training: TrainingState, x: Axis, *, by_time: bool) -> list[Series]:
    """Evaluations by their marks, the later ones drawn over the earlier."""
    points: dict[str, list[ChartPoint]] = {LOSS_ONLY_MARK: [], EVAL_MARK: [], BEST_MARK: []}
    kinds = {"full": EVAL_MARK, "loss": LOSS_ONLY_MARK}
    marks = [(done, kinds[done.kind]) for done in training.evaluations]
    marks += [(training.best, BEST_MARK)] if training.best is not None else []
    for done, mark in marks:
        at = done.t if by_time else float(done.step)
        if done.loss is not None and x.low <= at <= x.high:
            points[mark].append((at, done.loss))
    return [Series(tuple(found), mark) for mark, found in points.items()]


def step_axis(step: int, total: int, width: int) -> Axis:
    """From the first step to the last one of the run, however far it is; early in it to a round number ahead."""
    end = float(max(1, total, step))
    if step < EARLY * end:
        end = min(end, _round_above(step * AHEAD))
    apart = nice_step(end, max(2, width // LABEL_CELLS))
    ticks = (i * apart for i in range(int(end / apart + 1e-9) + 1))
    return Axis(0.0, end, tuple((value, format_count(value).replace(".0k", "k")) for value in ticks))


def _round_above(value: float) -> float:
    """The next of 10, 20, 50, 100 and so on."""
    return max(10.0, nice_step(max(1.0, value), 1))
