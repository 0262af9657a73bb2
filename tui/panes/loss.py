"""Loss over the whole run, with the evaluations on it."""

from __future__ import annotations

from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.units import format_count
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import Axis, Series, draw_plot, nice_step, value_axis
from speedtui.tui.drawing.text import Row, Span, clean, pack, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

EVAL_MARK, LOSS_ONLY_MARK, BEST_MARK = "○", "◦", "★"
"""A full evaluation, one of the loss alone, and the best of all."""
LEGEND_WIDTH = 70
"""From here on the signs are told in the title; below it they give way to the figures."""
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
    right = _legend(training)
    heading = _title(training, width - (width_of(right) + 4 if width >= LEGEND_WIDTH else 0))
    if inner_width < SMALLEST_PLOT[0] or inner_height < SMALLEST_PLOT[1]:
        return framed(heading, right, [], width, height)
    return framed(heading, right, _chart(training, inner_width, inner_height), width, height)


def _legend(training: TrainingState) -> Row:
    kinds = {done.kind for done in training.evaluations}
    marks = [(EVAL_MARK, "eval")] if "full" in kinds else []
    marks += [(LOSS_ONLY_MARK, "loss only")] if "loss" in kinds else []
    marks += [(BEST_MARK, "best")] if training.best is not None else []
    return row(*(row(Span(f"{' ' * bool(i)}{mark}", "mark"), Span(f" {word}", "dim"))
                 for i, (mark, word) in enumerate(marks)))  # fmt: skip


def _title(training: TrainingState, width: int) -> Row:
    loss = (
        Span("not finite", "bad") if training.loss is None and training.nonfinite_steps else row(_number(training.loss))
    )
    mean = row(Span("mean ", "dim"), _number(training.smoothed_loss))
    last = training.evaluations[-1] if training.evaluations else None
    evaluated = row(Span("eval ", "dim"), _number(last.loss)) if last is not None else ()
    broken = f"{training.nonfinite_steps} not finite" if training.nonfinite_steps else ""
    pieces = [row(Span("Loss", "title")), row(loss), row(Span(broken, "bad")), *_metrics(training), evaluated]
    pieces += [_best(training), mean]
    return pack(pieces, width - 8, gap="  ")


def _metrics(training: TrainingState) -> list[Row]:
    """Of the last full evaluation; where there are any, they are what it was made for."""
    last = next((done for done in reversed(training.evaluations) if done.kind == "full"), None)
    metrics = last.metrics if last is not None else {}
    pieces = [row(Span(f"{clean(name)} ", "dim"), _number(value)) for name, value in metrics.items()]
    if last is not None and last.unscored:
        pieces.append(row(Span(f"{last.unscored} not scored", "warn")))
    return pieces


def _best(training: TrainingState) -> Row:
    """Where it was an earlier one."""
    best = training.best
    if best is None or best is training.evaluations[-1]:
        return ()
    found = next(iter(best.metrics.values()), best.loss)
    return row(Span("best ", "dim"), f"{_number(found)} at {best.step}")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _chart(training: TrainingState, width: int, height: int) -> list[Row]:
    marked = _marked(training)
    values = [y for _, y in training.losses] + [y for series in marked for _, y in series.points]
    y = value_axis(values, parts=max(3, height // 3))
    return draw_plot(
        [Series(training.losses), *marked], step_axis(training.total_steps, width), y, width, height,
        styles={EVAL_MARK: "mark", LOSS_ONLY_MARK: "mark", BEST_MARK: "mark"},
    )  # fmt: skip


def _marked(training: TrainingState) -> list[Series]:
    """Evaluations by their marks, the later ones drawn over the earlier."""
    points: dict[str, list[tuple[float, float]]] = {LOSS_ONLY_MARK: [], EVAL_MARK: [], BEST_MARK: []}
    for done in training.evaluations:
        if done.loss is not None:
            points[EVAL_MARK if done.kind == "full" else LOSS_ONLY_MARK].append((float(done.step), done.loss))
    if training.best is not None and training.best.loss is not None:
        points[BEST_MARK].append((float(training.best.step), training.best.loss))
    return [Series(found, mark) for mark, found in points.items()]


def step_axis(total: int, width: int) -> Axis:
    """From the first to the last step of the run, however far it is."""
    step = nice_step(max(1, total), max(2, width // 14))
    ticks = tuple(
        (value, format_count(value).replace(".0k", "k")) for value in (i * step for i in range(int(total / step) + 1))
    )
    return Axis(0.0, float(max(1, total)), ticks)
