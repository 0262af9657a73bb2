"""A study's results as bars, in the place where a training shows its loss."""

from __future__ import annotations

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count
from speedtui.tui.drawing.bars import bar
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, empty_pane, title

STATUS_WORDS = {
    TrialStatus.OUT_OF_MEMORY: "out of memory",
    TrialStatus.TIMED_OUT: "timed out",
    TrialStatus.NOT_RUN: "not run",
}
TRIAL_STYLES = {
    TrialStatus.RUNNING: "accent", TrialStatus.OK: "good", TrialStatus.OUT_OF_MEMORY: "bad", TrialStatus.FAILED: "bad",
    TrialStatus.PRUNED: "warn", TrialStatus.TIMED_OUT: "warn", TrialStatus.WAITING: "dim", TrialStatus.QUEUED: "dim",
    TrialStatus.NOT_RUN: "dim",
}  # fmt: skip


def status_word(status: TrialStatus) -> str:
    return STATUS_WORDS.get(status, status.value)


class ResultsPane(Pane):
    """The candidates and how fast each was."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_results(frame.run, width, height)


def draw_results(run: RunState, width: int, height: int) -> list[Row]:
    """The pane at a size; with more candidates than rows, those around the running one, or else around the best."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    study = run.study
    if study is None or not study.rows:
        text = "Nothing measured yet." if run.status.busy else "Nothing was measured."
        return empty_pane(title("Results"), text, width, height)
    rates = {trial.candidate.id: _rate(trial) for trial in study.rows}
    top = max((rate for rate in rates.values() if rate is not None), default=0.0)
    first = _first_shown(study, inner_height)
    proven = _proven(study)
    rows = [_line(study, trial, top, inner_width, proven=proven) for trial in study.rows[first : first + inner_height]]
    part = f"{first + 1}–{first + len(rows)} of {len(study.rows)}   " if len(rows) < len(study.rows) else ""
    return bordered(title("Results"), row(Span(f"{part}samples/s", "dim")), rows, width, height)


def _proven(study: StudyState) -> bool:
    """Whether the best one is faster than the next."""
    # Imported when there is a best one: the first paint of a training need not wait for it.
    from speedtui.tui.candidates.figures import lead

    ahead = lead(study) if study.best is not None else None
    return ahead is None or not ahead[1].open


def _rate(trial: TrialRow) -> float | None:
    measured = trial.result.measurement if trial.result is not None else None
    return measured.samples_per_second if measured is not None else None


def _first_shown(study: StudyState, height: int) -> int:
    at = {trial.candidate.id: i for i, trial in enumerate(study.rows)}
    done = [i for i, trial in enumerate(study.rows) if trial.status.finished or trial.status is TrialStatus.RUNNING]
    over = not any(trial.status in (TrialStatus.RUNNING, TrialStatus.QUEUED) for trial in study.rows)
    wanted = at[study.best] - height // 2 if over and study.best in at else max(done, default=0) - height + 2
    return max(0, min(wanted, len(study.rows) - height))


def _line(study: StudyState, trial: TrialRow, top: float, width: int, *, proven: bool) -> Row:
    """The best one has a star: a hollow one where the next fastest may be as fast."""
    rate = _rate(trial)
    label_width = max(8, min(30, width // 2 - 4))
    best = trial.candidate.id == study.best
    head = row(
        Span("  " if not best else "★ " if proven else "☆ ", "good" if proven else "warn"),
        cell(f"#{trial.candidate.id}", 4, style="dim"),
        cell(clean(trial.candidate.label), label_width, style="strong" if best and proven else ""),
    )
    room = width - label_width - 6
    if rate is None or not top:
        return row(head, " ", Span(status_word(trial.status), TRIAL_STYLES[trial.status]))
    return row(head, cell(format_count(rate), 6, right=True), " ", bar(rate / top, max(1, room - 7)))
