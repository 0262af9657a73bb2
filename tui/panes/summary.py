"""The study in one line, above its trials."""

from __future__ import annotations

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState
from speedtui.engine.units import format_size, format_span
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane
from speedtui.tui.panes.results import status_word

COUNTED = (TrialStatus.OK, TrialStatus.RUNNING, TrialStatus.QUEUED, TrialStatus.WAITING, TrialStatus.OUT_OF_MEMORY,
           TrialStatus.FAILED, TrialStatus.PRUNED, TrialStatus.TIMED_OUT)  # fmt: skip


class SummaryPane(Pane):
    """Mode, counts, limits; or why there is nothing."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return [draw_summary(frame, width)]


def draw_summary(frame: Frame, width: int) -> Row:
    """One row; an error of the session goes first."""
    if frame.error is not None:
        return row(
            " ", pack([row(Span(f"✗ {clean(frame.error.message)}  {clean(frame.error.hint)}", "bad"))], width - 2)
        )
    if frame.note:
        return row(" ", pack([row(Span(f"… {frame.note}", "accent"))], width - 2))
    run = frame.study
    study = run.study
    if study is None:
        return row(" ", pack([row(Span(_without_study(run), "dim"))], width - 2))
    counts = ", ".join(f"{study.count(s)} {status_word(s)}" for s in COUNTED if study.count(s))
    pieces = [
        row(Span("study ", "dim"), Span(clean(study.mode), "strong")),
        row(counts or "no candidates"),
        _budget(run),
        row(Span("limit ", "dim"), format_size(study.memory_limit_bytes)) if study.memory_limit_bytes else (),
        row(Span("each ", "dim"), f"{study.batches} batches"),
        row(Span("deadline ", "dim"), clock(run.window.deadline, run.now)) if run.window is not None else (),
        row(Span("ended: ", "dim"), clean(study.finish_reason)) if study.finish_reason else (),
    ]
    return row(" ", pack(pieces, width - 2, gap="  │  " if width >= 100 else "   "))


def _without_study(run: RunState) -> str:
    if run.progress is not None:
        return f"… {clean(run.progress.what)}"
    return "no study yet" if run.status.busy and run.job != "train" else "no study in this run"


def _budget(run: RunState) -> Row:
    study = run.study
    if study is None or study.budget_seconds is None:
        return ()
    spent = f"{format_span(max(0.0, run.t - study.started_at))} of " if not study.finished else ""
    return row(Span("budget ", "dim"), f"{spent}{format_span(study.budget_seconds)}")
