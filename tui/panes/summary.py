"""The study in one line, above its trials."""

from __future__ import annotations

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState
from speedtui.engine.units import format_budget, format_size, format_span
from speedtui.tui.candidates.figures import base_of, lead
from speedtui.tui.candidates.listing import PLAIN, Listing, listed
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, roughly, row
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane
from speedtui.tui.panes.results import status_word

COUNTED = (TrialStatus.OK, TrialStatus.RUNNING, TrialStatus.QUEUED, TrialStatus.WAITING, TrialStatus.OUT_OF_MEMORY,
           TrialStatus.FAILED, TrialStatus.PRUNED, TrialStatus.TIMED_OUT, TrialStatus.NOT_RUN)  # fmt: skip


class SummaryPane(Pane):
    """Mode, counts, limits; or why there is nothing."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.listing = PLAIN

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return [draw_summary(frame, width, self.listing)]


def draw_summary(frame: Frame, width: int, listing: Listing = PLAIN) -> Row:
    """One row; an error of the session goes first, then how the table is shown where that is not as usual."""
    run, study = frame.study, frame.study.study
    if frame.error is not None:
        told = Span(f"✗ {clean(frame.error.message)}  {clean(frame.error.hint)}", "bad")
    elif frame.note:
        told = Span(f"… {frame.note}", "accent")
    else:
        told = Span("" if study is not None else _without_study(run), "dim")
    if study is None or told.text:
        return row(" ", pack([row(told)], width - 2))
    pieces = [*_shown(study, listing), _counts(study), _lead(study), _window(run), _base(run), _budget(run)]
    pieces += [
        row(Span("limit ", "dim"), format_size(study.memory_limit_bytes)) if study.memory_limit_bytes else (),
        row(Span("each ", "dim"), f"{study.batches} batches"),
        row(Span("ended: ", "dim"), clean(study.finish_reason)) if study.finish_reason else (),
        row(Span("study ", "dim"), Span(clean(study.mode), "strong")),
    ]
    return row(" ", pack(pieces, width - 2, gap="  │  " if width >= 100 else " │ "))


def _shown(study: StudyState, listing: Listing) -> list[Row]:
    """Filter, marks and order, each only where somebody set it."""
    pieces: list[Row] = []
    if listing.filter:
        found = f"  {len(listed(study, listing))} of {len(study.rows)}"
        pieces.append(row(Span("/ ", "key"), Span(clean(listing.filter), "accent"), Span(found, "dim")))
    marked = len(listing.marked & {trial.candidate.id for trial in study.rows})
    if marked:
        pieces.append(row(Span(f"* {marked} marked", "accent")))
    if (listing.sort, listing.reverse) != (PLAIN.sort, PLAIN.reverse):
        pieces.append(row(Span("sort ", "dim"), Span(listing.words, "accent")))
    return pieces


def _counts(study: StudyState) -> Row:
    counts = ", ".join(f"{study.count(s)} {status_word(s)}" for s in COUNTED if study.count(s))
    return row(counts or "no candidates")


def _window(run: RunState) -> Row:
    """How much of it is left, and until when; of a study that is over, when it was."""
    if run.window is None:
        return ()
    left = run.window.deadline - run.now
    rest = f"{roughly(left)} to " if left > 0 else "over since "
    return row(Span("window ", "dim"), rest, clock(run.window.deadline, run.now))


def _lead(study: StudyState) -> Row:
    """The best one, and whether the next one may be as fast."""
    ahead = lead(study)
    if study.best is None:
        return ()
    open_yet = ahead is not None and ahead[1].open
    proof = Span(f" ? not proven against #{ahead[0].candidate.id}", "warn") if ahead and open_yet else ""
    return row(Span("best ", "dim"), f"#{study.best}", proof)


def _base(run: RunState) -> Row:
    """What the others are held against, here and on the Advisor."""
    base = base_of(run)
    return row(Span("base ", "dim"), f"#{base.candidate.id}") if base is not None else ()


def _without_study(run: RunState) -> str:
    if run.progress is not None:
        return f"… {clean(run.progress.what)}"
    return "no study yet" if run.status.busy and run.job != "train" else "no study in this run"


def _budget(run: RunState) -> Row:
    study = run.study
    if study is None or study.budget_seconds is None:
        return ()
    spent = f"{format_span(max(0.0, run.t - study.started_at))} of " if not study.finished else ""
    return row(Span("budget ", "dim"), f"{spent}{format_budget(study.budget_seconds)}")
