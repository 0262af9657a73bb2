"""What comes besides training steps, what it takes, and what is still to come."""

from __future__ import annotations

from typing import Any

from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.units import format_share, format_size
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, roughly, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane

TERMS = {"steps": "steps", "evals": "evaluations", "saves": "checkpoints", "final": "end"}


class SchedulePane(Pane):
    """Two quiet lines under the charts."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_schedule(frame.run, width)


def draw_schedule(run: RunState, width: int) -> list[Row]:
    """Plan and costs; the model and its data before there is a training."""
    training = run.training
    if training is None:
        return [row(" ", pack(_model(run), width - 2)), row(" ", pack(_study(run), width - 2))]
    return [row(" ", pack(_plan(run, training), width - 2)), row(" ", pack(_costs(run, training), width - 2))]


def _quiet(label: str, value: str) -> Row:
    return row(Span(f"{label} ", "dim"), value)


def _plan(run: RunState, training: TrainingState) -> list[Row]:
    schedule: dict[str, Any] = run.config.get("schedule", {})
    pieces = [
        _quiet("eval every", clean(str(schedule.get("eval_every", "–")))),
        _quiet("checkpoint every", clean(str(schedule.get("checkpoint_every", "–")))),
    ]
    if training.checkpoints:
        last = training.checkpoints[-1]
        pieces.append(_quiet("last checkpoint", f"step {last.step} at {clock(run.started_at + last.t, run.now)}"))
    micro, accumulation = training.micro_batch_size, training.grad_accum_steps
    batch = f"{micro} × {accumulation} = {micro * accumulation}"
    return [*pieces, _quiet("batch", batch), _quiet("lr", _rate(training.learning_rate))]


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2e}"


def _costs(run: RunState, training: TrainingState) -> list[Row]:
    if training.finished is None and training.eta is not None and training.eta.terms:
        terms = [(name, seconds) for name, seconds in training.eta.terms.items() if seconds >= 0.5]  # less reads 0s
        return [
            row(Span("still to come ", "dim"), f"{TERMS.get(name, name)} {roughly(seconds)}")
            if i == 0 else row(f"{TERMS.get(name, name)} {roughly(seconds)}")
            for i, (name, seconds) in enumerate(terms)
        ]  # fmt: skip
    if run.books is None:
        return []
    spent, total = run.books.phases, run.books.wall
    shown = [name for name in ("load", "eval", "checkpoint", "data") if spent.get(name)]
    if not shown or total <= 0:
        return []
    first, *rest = [f"{name} {format_share(spent[name] / total)}" for name in shown]
    return [row(Span("of the time so far ", "dim"), first), *(row(text) for text in rest)]


def _model(run: RunState) -> list[Row]:
    model = run.model
    if model is None:
        return []
    pieces = [
        row(Span("model ", "dim"), clean(model.model)),
        _quiet("rows", f"{model.train_rows} train, {model.eval_rows} eval"),
    ]
    if model.longest_tokens is not None:
        mean = f", mean {model.mean_tokens:.0f}" if model.mean_tokens is not None else ""
        pieces.append(_quiet("tokens", f"longest {model.longest_tokens}{mean}"))
    if model.cut_rows:
        pieces.append(row(Span(f"{model.cut_rows} rows cut", "warn")))
    return pieces


def _study(run: RunState) -> list[Row]:
    study = run.study
    if study is None:
        return []
    limit = study.memory_limit_bytes
    pieces = [_quiet("each trial", f"{study.batches} batches")]
    if limit is not None:
        pieces.append(_quiet("memory limit", format_size(limit)))
    return pieces
