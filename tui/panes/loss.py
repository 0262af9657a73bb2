"""Loss over the whole run, with the evaluations on it."""

from __future__ import annotations

from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.units import format_count
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import Axis, Series, draw_plot, nice_step, value_axis
from speedtui.tui.drawing.text import Row, Span, pack, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

EVAL_MARK = "○"
SMALLEST_PLOT = (16, 4)
"""Columns and rows below which a chart says less than the numbers in the title."""


class LossPane(Pane):
    """A chart whose axis is the whole run, so that each redraw touches the last column alone."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_loss(frame.run, width, height)


def draw_loss(run: RunState, width: int, height: int) -> list[Row]:
    """The pane at a size."""
    training = run.training
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if training is None or not (training.losses or training.evaluations):
        text = "No loss yet: it comes with the first steps." if run.status.busy else "No loss was recorded."
        return framed(title("Loss"), (), middle([row(Span(text, "dim"))], inner_height), width, height)
    right = row(Span(EVAL_MARK, "mark"), Span(" eval", "dim")) if training.evaluations else ()
    if inner_width < SMALLEST_PLOT[0] or inner_height < SMALLEST_PLOT[1]:
        return framed(_title(training, width), right, [], width, height)
    return framed(_title(training, width), right, _chart(training, inner_width, inner_height), width, height)


def _title(training: TrainingState, width: int) -> Row:
    loss = (
        Span("not finite", "bad") if training.loss is None and training.nonfinite_steps else row(_number(training.loss))
    )
    mean = row(Span("mean ", "dim"), _number(training.smoothed_loss))
    last = training.evaluations[-1] if training.evaluations else None
    evaluated = row(Span("eval ", "dim"), _number(last.loss)) if last is not None else ()
    broken = f"{training.nonfinite_steps} not finite" if training.nonfinite_steps else ""
    return pack([row(Span("Loss", "title")), row(loss), row(Span(broken, "bad")), evaluated, mean], width - 8, gap="  ")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _chart(training: TrainingState, width: int, height: int) -> list[Row]:
    evaluations = [(float(done.step), done.loss) for done in training.evaluations if done.loss is not None]
    values = [y for _, y in training.losses] + [y for _, y in evaluations]
    y = value_axis(values, parts=max(3, height // 3))
    return draw_plot(
        [Series(training.losses), Series(evaluations, EVAL_MARK)],
        step_axis(training.total_steps, width), y, width, height, styles={EVAL_MARK: "mark"},
    )  # fmt: skip


def step_axis(total: int, width: int) -> Axis:
    """From the first to the last step of the run, however far it is."""
    step = nice_step(max(1, total), max(2, width // 14))
    ticks = tuple(
        (value, format_count(value).replace(".0k", "k")) for value in (i * step for i in range(int(total / step) + 1))
    )
    return Axis(0.0, float(max(1, total)), ticks)
