"""Loss over the whole run, with the evaluations on it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from speedtui.engine.events import EvaluationCompleted
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.state.lines import left_out_words, loss_words
from speedtui.engine.state.recent import MINUTE, TEN_MINUTES
from speedtui.engine.units import format_count, format_span
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.plot import DOTS, Axis, Point, Series, draw_plot, nice_step, value_axis
from speedtui.tui.drawing.text import Row, Span, clean, pack, row, width_of, wrap
from speedtui.tui.frame import Axis as StretchOfTime
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

EVAL_MARK, LOSS_ONLY_MARK, BEST_MARK = "○", "◦", "★"
"""A full evaluation, one of the loss alone, and the best of all."""
LEGEND_WIDTH = 70
"""From here on the signs are told in the title; below it they give way to the figures."""
STRETCHES: dict[StretchOfTime, str] = {"run": "whole run", "10m": "last 10 min", "1m": "last 1 min"}
TIME_PARTS: dict[StretchOfTime, int] = {"10m": 5, "1m": 4}
"""Of a time axis, so that its ticks are at round times."""
TITLE_EDGES = 11
"""Of the upper edge that are neither the title nor what stands at its right."""
SMALLEST_PLOT = (16, 4)
"""Columns and rows below which a chart says less than the numbers in the title."""


class LossPane(Pane):
    """A chart whose axis is the whole run, so that each redraw touches the last column alone."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_loss(frame.run, width, height, frame.axis)


def draw_loss(run: RunState, width: int, height: int, axis: StretchOfTime = "run") -> list[Row]:
    """The pane at a size: over the whole run by steps, or over the last minutes by time."""
    training = run.training
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if training is None or not (training.losses or training.evaluations):
        text = "No loss yet: it comes with the first steps." if run.status.busy else "No loss was recorded."
        lines = [row(Span(line, "dim")) for line in wrap(text, inner_width)]
        return framed(title("Loss"), (), middle(lines, inner_height), width, height)
    right = _legend(training)
    heading = _title(training, width - (width_of(right) + 4 if width >= LEGEND_WIDTH else 0), axis)
    hint = row(right, Span("   x ", "key"), Span(STRETCHES[axis], "dim"))
    right = hint if width_of(heading) + width_of(hint) <= width - TITLE_EDGES else right
    if inner_width < SMALLEST_PLOT[0] or inner_height < SMALLEST_PLOT[1]:
        return framed(heading, right, [], width, height)
    return framed(heading, right, _chart(training, axis, inner_width, inner_height), width, height)


def _legend(training: TrainingState) -> Row:
    kinds = {done.kind for done in training.evaluations}
    marks = [(EVAL_MARK, "eval")] if "full" in kinds else []
    marks += [(LOSS_ONLY_MARK, "loss only")] if "loss" in kinds else []
    marks += [(BEST_MARK, "best")] if training.best is not None else []
    return row(*(row(Span(f"{' ' * bool(i)}{mark}", "mark"), Span(f" {word}", "dim"))
                 for i, (mark, word) in enumerate(marks)))  # fmt: skip


def _title(training: TrainingState, width: int, axis: StretchOfTime) -> Row:
    loss = (
        Span("not finite", "bad") if training.loss is None and training.nonfinite_steps else row(_number(training.loss))
    )
    mean = row(Span("mean ", "dim"), _number(training.smoothed_loss))
    last = training.evaluations[-1] if training.evaluations else None
    evaluated = row(Span("eval ", "dim"), _evaluated(last), left_out_words(last)) if last is not None else ()
    broken = f"{training.nonfinite_steps} not finite" if training.nonfinite_steps else ""
    name = row(Span("Loss", "title"), Span(f" {STRETCHES[axis]}" if axis != "run" else "", "accent"))
    skipped = f"{training.skipped_steps} left out by the loss scaler" if training.skipped_steps else ""
    pieces = [name, row(loss), row(Span(broken, "bad")), row(Span(skipped, "dim")), *_metrics(training), evaluated]
    pieces += [_best(training), mean]
    return pack(pieces, width - 8, gap="  ")


def _evaluated(last: EvaluationCompleted) -> Span:
    return Span(loss_words(last), "bad" if last.nonfinite else "")


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


def _chart(training: TrainingState, axis: StretchOfTime, width: int, height: int) -> list[Row]:
    x, losses = _over_run(training, width) if axis == "run" else _over_time(training, axis)
    marked = _marked(training, x, by_time=axis != "run")
    values = [y for _, y in losses] + [y for series in marked for _, y in series.points]
    if not values:
        return middle([row(Span("No step in this stretch of time.", "dim"))], height)
    y = value_axis(values, parts=max(3, height // 3))
    curve = Series(_to_dots(losses, (x.high - x.low) / width / DOTS[0], (y.high - y.low) / height / DOTS[1]))
    return _drawn((curve, *marked), x, y, width, height)


def _to_dots(points: Sequence[Point], dot_x: float, dot_y: float) -> tuple[Point, ...]:
    """Points to the dots that they fall on: what cannot be seen does not have the chart drawn again."""
    return tuple(dict.fromkeys((round(x / dot_x) * dot_x, round(y / dot_y) * dot_y) for x, y in points))


@lru_cache(maxsize=4)  # for each axis, and one to spare: working out the characters is most of what the Monitor costs
def _drawn(series: tuple[Series, ...], x: Axis, y: Axis, width: int, height: int) -> list[Row]:
    return draw_plot(series, x, y, width, height, styles={EVAL_MARK: "mark", LOSS_ONLY_MARK: "mark", BEST_MARK: "mark"})


def _over_run(training: TrainingState, width: int) -> tuple[Axis, Sequence[Point]]:
    return step_axis(training.total_steps, width), training.losses


def _over_time(training: TrainingState, axis: StretchOfTime) -> tuple[Axis, Sequence[Point]]:
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
    points: dict[str, list[Point]] = {LOSS_ONLY_MARK: [], EVAL_MARK: [], BEST_MARK: []}
    kinds = {"full": EVAL_MARK, "loss": LOSS_ONLY_MARK}
    marks = [(done, kinds[done.kind]) for done in training.evaluations]
    marks += [(training.best, BEST_MARK)] if training.best is not None else []
    for done, mark in marks:
        at = done.t if by_time else float(done.step)
        if done.loss is not None and x.low <= at <= x.high:
            points[mark].append((at, done.loss))
    return [Series(tuple(found), mark) for mark, found in points.items()]


def step_axis(total: int, width: int) -> Axis:
    """From the first to the last step of the run, however far it is."""
    step = nice_step(max(1, total), max(2, width // 14))
    ticks = tuple(
        (value, format_count(value).replace(".0k", "k")) for value in (i * step for i in range(int(total / step) + 1))
    )
    return Axis(0.0, float(max(1, total)), ticks)
