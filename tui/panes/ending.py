"""How a training ended: why, what is left of it, and how near the estimate was."""

from __future__ import annotations

import os

from speedtui.engine.events import EvaluationCompleted
from speedtui.engine.report.words import END_WORDS
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.state.event_words import left_out_words, loss_words
from speedtui.engine.units import format_figure
from speedtui.tui.drawing.text import Row, clean, pack, roughly, row, wrap

LINES = 2
"""Of a reason, where there is room for what the training came to, too."""


def ending(run: RunState, width: int, room: int) -> list[Row]:
    """The rows below the outcome, at most so many: why, where it did not end well, what comes next, and what the
    training came to. What comes next is whole: a command without its end is none."""
    said = run.outcome == "ok" or run.reason == END_WORDS["stop"]  # the outcome says as much
    reason = "" if said else run.reason
    after = [row(line) for line in wrap(run.next, width, room)]
    why = [row(line) for line in wrap(reason, width, max(0, min(LINES, room - len(after))))]
    rows = [*why, *after]
    if run.training is None or len(rows) >= room:
        return rows
    pieces = [_reason(run.training) if run.outcome == "ok" else (), _best(run.training), _accuracy(run, run.training)]
    return [*rows, pack([*pieces, _model(run, run.training)], width)]


def _reason(training: TrainingState) -> Row:
    finished = training.finished
    if finished is None:
        return ()
    words = END_WORDS[finished.reason]
    return row(words if finished.reason == "steps" else f"{words}, at step {finished.steps}")


def _best(training: TrainingState) -> Row:
    best = training.best
    if best is None:
        return ()
    kept = training.finished is not None and training.finished.best_step == best.step
    return row(f"best step {best.step}{' (kept)' if kept else ''}: {_found(best)}")


def _found(evaluation: EvaluationCompleted) -> str:
    found = [f"{clean(name)} {format_figure(value)}" for name, value in evaluation.metrics.items()]
    told = evaluation.loss is not None or evaluation.nonfinite
    loss = [f"loss {loss_words(evaluation)}{left_out_words(evaluation)}"] if told else []
    missing = [f"{evaluation.unanswered} not answered"] if evaluation.unanswered else []
    return ", ".join([*found, *missing, *loss])


def _accuracy(run: RunState, training: TrainingState) -> Row:
    """What the training first said of its own finish, beside when it was, less what it was without a worker; no share
    where it became another run."""
    first, finished = training.first_eta, training.finished
    if first is None or first.p50_seconds is None or finished is None or finished.reason != "steps":
        return ()
    away = run.books.phases.get("away", 0.0) if run.books is not None else 0.0
    estimate, actual = first.t + first.p50_seconds, finished.t - away
    if actual <= 0:
        return ()
    beside = "settings were changed since" if training.changed else f"{estimate / actual * 100:.0f} %"
    return row(f"estimate at step {training.first_eta_step}: {roughly(estimate)}, took {roughly(actual)} ({beside})")


def _model(run: RunState, training: TrainingState) -> Row:
    """Where neither the reason nor what comes next has named it."""
    path = training.finished.model_path if training.finished is not None else None
    if path is None or path in run.next or path in run.reason:
        return ()
    return row(f"model {clean(min(os.path.relpath(path), path, key=len))}")
