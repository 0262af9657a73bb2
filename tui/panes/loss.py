"""Loss over the whole run, with the evaluations on it."""

from __future__ import annotations

from speedtui.engine.events import EvaluationCompleted
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.state.event_words import left_out_words, loss_words
from speedtui.engine.units import format_figure
from speedtui.tui.drawing.border import EDGES, HEADING_EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, pack, row, width_of
from speedtui.tui.frame import Frame, TimeRange
from speedtui.tui.panes.loss_chart import BEST_MARK, EVAL_MARK, LOSS_ONLY_MARK, Chart, draw_chart
from speedtui.tui.panes.pane import Pane, empty_pane, title

LEGEND_WIDTH = 70
"""From here on the signs are told in the title; below it they give way to the figures."""


class LossPane(Pane):
    """A chart whose axis is the whole run, so that each redraw touches the last column alone."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_loss(frame.run, width, height, frame.axis, log=frame.log)


def draw_loss(run: RunState, width: int, height: int, axis: TimeRange = "run", *, log: bool = False) -> list[Row]:
    """The pane at a size: over the run by steps, or over the last minutes by time; `log`: equal ratios equally high."""
    training = run.training
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    if training is None or not (training.losses or training.evaluations):
        text = "No loss yet: it comes with the first steps." if run.status.busy else "No loss was recorded."
        return empty_pane(title("Loss"), text, width, height)
    chart = draw_chart(training, axis, inner_width, inner_height, log=log)
    right = _legend(training)
    heading = _title(training, width - (width_of(right) + 4 if width >= LEGEND_WIDTH else 0), chart, axis)
    hint = row(right, Span("   x ", "key"), Span(chart.stretch, "dim"))
    right = hint if width_of(heading) + width_of(hint) <= width - HEADING_EDGES else right
    return bordered(heading, right, chart.rows, width, height)


def _legend(training: TrainingState) -> Row:
    kinds = {done.kind for done in training.evaluations}
    marks = [(EVAL_MARK, "eval")] if "full" in kinds else []
    marks += [(LOSS_ONLY_MARK, "loss only")] if "loss" in kinds else []
    marks += [(BEST_MARK, "best")] if training.best is not None else []
    return row(*(row(Span(f"{' ' * bool(i)}{mark}", "mark"), Span(f" {word}", "dim"))
                 for i, (mark, word) in enumerate(marks)))  # fmt: skip


def _title(training: TrainingState, width: int, chart: Chart, axis: TimeRange) -> Row:
    broken_now = training.loss is None and training.nonfinite_steps
    loss = row(Span("not finite", "bad") if broken_now else format_figure(training.loss))
    mean = row(Span("mean ", "dim"), format_figure(training.smoothed_loss))
    last = training.evaluations[-1] if training.evaluations else None
    evaluated = row(Span("eval ", "dim"), _evaluated(last), left_out_words(last)) if last is not None else ()
    broken = f"{training.nonfinite_steps} not finite" if training.nonfinite_steps else ""
    shown = f" {chart.stretch}" if axis != "run" else ""
    name = row(Span("Loss", "title"), Span(shown + (" log" if chart.log else ""), "accent"))
    skipped = f"{training.skipped_steps} left out by the loss scaler" if training.skipped_steps else ""
    pieces = [name, loss, row(Span(broken, "bad")), row(Span(skipped, "dim")), chart.outside, *_metrics(training)]
    return pack([*pieces, evaluated, _best(training), mean], width - 8, gap="  ")


def _evaluated(last: EvaluationCompleted) -> Span:
    return Span(loss_words(last), "bad" if last.nonfinite else "")


def _metrics(training: TrainingState) -> list[Row]:
    """Of the last full evaluation; where there are any, they are what it was made for."""
    last = next((done for done in reversed(training.evaluations) if done.kind == "full"), None)
    metrics = last.metrics if last is not None else {}
    pieces = [row(Span(f"{clean(name)} ", "dim"), format_figure(value)) for name, value in metrics.items()]
    if last is not None and last.unscored:
        pieces.append(row(Span(f"{last.unscored} not scored", "warn")))
    return pieces


def _best(training: TrainingState) -> Row:
    """Where it was an earlier one."""
    best = training.best
    if best is None or best is training.evaluations[-1]:
        return ()
    found = next(iter(best.metrics.values()), best.loss)
    return row(Span("best ", "dim"), f"{format_figure(found)} at {best.step}")
