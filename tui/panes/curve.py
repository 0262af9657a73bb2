"""Step times of the trial under the cursor, its warm-up apart from what was measured."""

from __future__ import annotations

import math

from speedtui.engine.state import RunState, TrialRow
from speedtui.tui.candidates.figures import measured
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import Axis, Series, draw_plot, nice_step, value_axis
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

WARM_UP = "○"
LEAST_HEIGHT = 4
"""Rows below which a curve is a line of noise."""


class CurvePane(Pane):
    """A chart; while a trial is measured it is drawn only when the cursor moves or a trial ends."""

    SLOW = True

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.selected: int | None = None

    def due(self, frame: Frame) -> bool:
        if not frame.measuring or self.frame is None:
            return frame.slow_panes
        return _status(frame.study, self.selected) != _status(self.frame.study, self.selected)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_curve(frame.study, self.selected, width, height)


def _status(run: RunState, selected: int | None) -> object:
    trial = run.study.row(selected) if run.study is not None and selected is not None else None
    return trial.status if trial is not None else None


def draw_curve(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    """The pane at a size; steps from left to right, milliseconds or seconds upwards."""
    trial = run.study.row(selected) if run.study is not None and selected is not None else None
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if trial is None or len(trial.steps.recent_seconds) < 2 or inner_height < LEAST_HEIGHT:
        over = trial is not None and trial.status.finished
        text = "No steps were timed." if over else "Appears while its steps are timed."
        empty = middle([row(Span(text, "dim"))], inner_height)
        return framed(title("Step times"), (), empty, width, height)
    name = title(f"Step times of #{trial.candidate.id}")
    return framed(name, _legend(trial), _plot(trial, inner_width, inner_height), width, height)


def _plot(trial: TrialRow, width: int, height: int) -> list[Row]:
    seconds, first = trial.steps.recent_seconds, first_step(trial)
    scale = 1000.0 if max(seconds) < 1 else 1.0
    points = [(float(number), value * scale) for number, value in enumerate(seconds, first)]
    warm = warm_up_steps(trial)
    before = [point for point in points if warm is not None and point[0] <= warm]
    steady = points[len(before) :]
    y = value_axis([value for _, value in points], parts=max(3, height // 2), from_zero=True)
    limit = warm + 0.5 if before and steady and warm is not None else None
    return draw_plot(
        [Series(steady), Series(before, WARM_UP)], _steps(first, first + len(points) - 1, width), y, width, height,
        styles={WARM_UP: "warn"}, limit=limit,
    )  # fmt: skip


def first_step(trial: TrialRow) -> int:
    """Number of the oldest step that is kept, from 1."""
    done = round(trial.batches_done / (trial.steps.micro_steps or 1.0))
    return max(1, done - len(trial.steps.recent_seconds) + 1)


def warm_up_steps(trial: TrialRow) -> int | None:
    """Probe steps that the measurement left out; None while that is not known."""
    found = measured(trial)
    if found is None:
        return None
    return math.ceil(found.warmup_batches / (trial.steps.micro_steps or 1.0))


def _legend(trial: TrialRow) -> Row:
    """Unit, and how many of the steps are which."""
    count, warm = len(trial.steps.recent_seconds), warm_up_steps(trial)
    unit = Span("ms" if max(trial.steps.recent_seconds) < 1 else "s", "dim")
    if warm is None:
        return row(unit, Span(f", {count} steps", "dim"))
    shown = max(0, min(count, warm - first_step(trial) + 1))
    mark = row(Span(WARM_UP, "warn"), Span(f" warm-up {shown} │ ", "dim")) if shown else ()
    return row(unit, "  ", mark, Span(f"steady {count - shown}", "dim"))


def _steps(first: int, last: int, width: int) -> Axis:
    step = max(1.0, nice_step(last - first + 1, max(2, width // 12)))
    numbers = range(math.ceil(first / step), int(last / step) + 1)
    ticks = tuple((value, f"{value:.0f}") for value in (float(first), *(i * step for i in numbers)))
    return Axis(float(first), float(max(first + 1, last)), tuple(dict.fromkeys(ticks)))
