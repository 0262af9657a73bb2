"""Step times of the trial under the cursor, its warm-up apart from what was measured."""

from __future__ import annotations

import math

from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.series import without_spikes
from speedtui.tui.candidates.figures import measured
from speedtui.tui.drawing.axes import Axis, nice_step, value_axis
from speedtui.tui.drawing.border import EDGES, HEADING_EDGES, INSET, bordered
from speedtui.tui.drawing.plot import BRAILLE, X_AXIS_ROWS, Series, draw_plot
from speedtui.tui.drawing.text import Row, Span, pack, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import TrialPane, empty_pane, selected_trial, title

WARM_UP, MEASURED, ABOVE = "○", "●", "▲"
MOST_WARM_UP = 3.0
"""Times the steps that were measured, up to which the axis reaches for the warm-up: compiling takes minutes."""
FEW = 10
"""Points up to which each is drawn by itself: a line through two of them would show a course that nobody measured."""
TICK = 6
"""Cells for a tick's label and the gap to the next."""
LEAST_HEIGHT = 4
"""Rows below which a curve is a line of noise."""


class CurvePane(TrialPane):
    """A chart; while a trial is measured it is drawn only when the cursor moves or a trial ends."""

    SLOW = True

    def due(self, frame: Frame) -> bool:
        if not frame.measuring or self.frame is None:
            return frame.slow_panes
        return _status(frame.study, self.selected) != _status(self.frame.study, self.selected)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_curve(frame.study, self.selected, width, height)


def _status(run: RunState, selected: int | None) -> object:
    trial = selected_trial(run, selected)
    return trial.status if trial is not None else None


def draw_curve(run: RunState, selected: int | None, width: int, height: int) -> list[Row]:
    """The pane at a size; the probe's batches from left to right, milliseconds or seconds of a whole step upwards."""
    trial = selected_trial(run, selected)
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if trial is None or len(trial.steps.recent_seconds) < 2 or inner_height < LEAST_HEIGHT:
        over = trial is not None and trial.status.finished
        text = "No steps were timed." if over else "Appears while its steps are timed."
        return empty_pane(title("Step times"), text, width, height)
    name = title(f"Step times of #{trial.candidate.id}")
    legend = _legend(trial, width - width_of(name) - HEADING_EDGES)
    return bordered(name, legend, _plot(trial, inner_width, inner_height), width, height)


def _plot(trial: TrialRow, width: int, height: int) -> list[Row]:
    """Each step stands at the last of its batches."""
    seconds, first, each = step_seconds(trial), first_step(trial), _batches_a_step(trial)
    scale = 1000.0 if max(seconds) < 1 else 1.0
    points = [(number * each, value * scale) for number, value in enumerate(seconds, first)]
    warm = warm_up_steps(trial)
    before = [point for point in points if warm is not None and point[0] <= warm * each]
    steady = points[len(before) :]
    lines = height - X_AXIS_ROWS
    shown = without_spikes([value for _, value in steady or points])
    shown += [value for _, value in before if value <= MOST_WARM_UP * max(shown)]
    y = value_axis(shown, lines, parts=max(2, lines // 2), from_zero=True)
    limit = (warm + 0.5) * each if before and steady and warm is not None else None
    marker = MEASURED if len(steady) <= FEW else BRAILLE
    above = Series([point for point in points if point[1] > y.high], ABOVE)
    return draw_plot(
        [Series(steady, marker), Series(before, WARM_UP), above], _batches([x for x, _ in points], width), y,
        width, height, styles={WARM_UP: "warn", MEASURED: "curve", ABOVE: "warn"}, limit=limit,
    )  # fmt: skip


def step_seconds(trial: TrialRow) -> list[float]:
    """What the training's step takes by each of the probe's: those accumulate fewer micro-batches, or one, and each
    has its optimizer's part."""
    each, wanted, found = _batches_a_step(trial), trial.candidate.grad_accum_steps, measured(trial)
    phases = found.phases if found is not None else trial.steps.phases_p50
    once = phases.get("optimizer", 0.0)
    return [max(0.0, value - once) * wanted / each + min(value, once) for value in trial.steps.recent_seconds]


def _batches_a_step(trial: TrialRow) -> float:
    return trial.steps.micro_steps or 1.0


def first_step(trial: TrialRow) -> int:
    """Number of the oldest step that is kept, from 1."""
    done = round(trial.batches_done / _batches_a_step(trial))
    return max(1, done - len(trial.steps.recent_seconds) + 1)


def warm_up_steps(trial: TrialRow) -> int | None:
    """Probe steps that the measurement left out; None while that is not known."""
    found = measured(trial)
    if found is None:
        return None
    return math.ceil(found.warmup_batches / _batches_a_step(trial))


def _legend(trial: TrialRow, width: int) -> Row:
    """What the two axes are, and how many of the steps are which."""
    count, warm = len(trial.steps.recent_seconds), warm_up_steps(trial)
    axes = row(Span(f"{'ms' if max(step_seconds(trial)) < 1 else 's'} a step ↑ batch →", "dim"))
    if warm is None:
        return pack([axes, row(Span(f"{count} steps", "dim"))], width, gap="  ")
    shown = max(0, min(count, warm - first_step(trial) + 1))
    mark = row(Span(WARM_UP, "warn"), Span(f" warm-up {shown}", "dim")) if shown else ()
    return pack([axes, mark, row(Span(f"steady {count - shown}", "dim"))], width, gap="  ")


def _batches(numbers: list[float], width: int) -> Axis:
    """A tick at every point of a few, as far as there is room; else at round numbers."""
    low, high = numbers[0], max(numbers[0] + 1, numbers[-1])
    room = max(2, width // TICK)
    if len(numbers) <= min(FEW, room):
        return Axis(low, high, tuple((number, f"{number:.0f}") for number in numbers))
    step = max(1.0, nice_step(high - low, room))
    rounds = (i * step for i in range(math.ceil(low / step), int(high / step) + 1))
    return Axis(low, high, tuple((value, f"{value:.0f}") for value in rounds))
