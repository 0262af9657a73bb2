"""How far it is and when it will be done; the last line to go on a small screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.window import Window
from speedtui.engine.events import EtaUpdated
from speedtui.engine.state import RunState, RunStatus, StudyState, TrainingState
from speedtui.engine.units import format_count, format_span
from speedtui.tui.drawing.bars import bar
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, plain, roughly, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.notices import notices
from speedtui.tui.panes.pane import Pane, title

VERDICTS = {"measuring": ("MEASURING", "dim"), "on_track": ("ON TRACK", "good"), "tight": ("TIGHT", "warn"),
            "late": ("LATE", "bad")}  # fmt: skip
OUTCOMES = {"ok": ("DONE", "good"), "late": ("DONE LATE", "warn"), "stopped": ("STOPPED", "warn"),
            "failed": ("FAILED", "bad"), "no_fit": ("NOTHING FITS", "bad")}  # fmt: skip
BESIDE_WIDTH = 40
"""Below it the finish stands without the time left, so that it finds room beside the longest verdict."""
NOW, P50, P90, SAFE = "●", "◆", "◇", "┊"


class Outlook(NamedTuple):
    """What the pane says, before it is fitted to a size."""

    share: float | None
    tally: str
    """At the end of the bar."""
    pieces: Sequence[Row]
    """The most important first."""


class DeadlinePane(Pane):
    """Progress, finish and verdict."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_deadline(frame, width, height)


def draw_deadline(frame: Frame, width: int, height: int) -> list[Row]:
    """The pane at a size: a bar, the window as a line where a row is left for it, the verdict, what needs a person.

    With two rows inside, what needs a person takes the bar's.
    """
    run = frame.run
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    urgent = notices(frame, inner_width)
    axis = _axis(run, inner_width) if inner_height - len(urgent) > 2 else ()
    outlook = _outlook(frame, inner_width, legend=bool(axis))
    count = Span(f"  {outlook.tally}") if outlook.tally else Span("")
    top = row(bar(outlook.share, max(4, inner_width - width_of((count,)))), count)
    words = pack(outlook.pieces, inner_width)
    if urgent and inner_height <= 2:
        return framed(_title(run), _right(run), [words, *urgent[:1]], width, height)
    rows = [top, *([axis] if axis else []), words]
    if inner_height - len(rows) > len(urgent):
        shown = plain(words)
        rest = [piece for piece in outlook.pieces if plain(piece) not in shown]
        rows += [pack(rest, inner_width)] if rest else []
    return framed(_title(run), _right(run), [*rows, *urgent], width, height)


def _title(run: RunState) -> Row:
    if run.window is not None:
        return title(f"Deadline {clock(run.window.deadline, run.now)}")
    if run.training is None and run.study is not None:
        return title(f"Study {clean(run.study.mode)}")
    return title("Progress")


def _right(run: RunState) -> Row:
    return row(Span(f"now {clock(run.now, run.now)}", "dim")) if run.started_at else ()


def _outlook(frame: Frame, width: int, *, legend: bool) -> Outlook:
    run = frame.run
    if frame.error is not None:
        return Outlook(None, "", [row(Span("✗ " + clean(frame.error.message), "bad"))])
    if run.status is RunStatus.FINISHED:
        return _finished(run)
    if run.status is RunStatus.LOST:
        return Outlook(_share(run), "", [row(Span("✗ WORKER LOST", "bad"))])
    if frame.note:
        return Outlook(None, "", [row(Span("… " + frame.note, "accent"))])
    if run.training is not None:
        return _training(run, run.training, width, legend=legend)
    if run.progress is not None:
        return _loading(run)
    if run.study is not None:
        return _study(run, run.study)
    words = "starting the worker" if run.status is RunStatus.STARTING else "loading the model and the data"
    return Outlook(None, "", [row(Span(f"… {words}", "dim"))])


def _share(run: RunState) -> float | None:
    if run.training is not None:
        return run.training.progress
    if run.study is not None and run.study.rows:
        return sum(trial.status.finished for trial in run.study.rows) / len(run.study.rows)
    return None


def _training(run: RunState, training: TrainingState, width: int, *, legend: bool) -> Outlook:
    count = f"{training.progress * 100:.1f} %  step {training.step}/{training.total_steps}"
    paused = [row(Span("‖ PAUSED", "warn"))] if run.status is RunStatus.PAUSED else []
    eta = training.eta
    if eta is None or eta.p50_seconds is None:
        waiting = row(Span("… MEASURING", "dim")) if run.window is not None else row("finish –")
        pieces = [*paused, waiting, _between_steps(run, training), row(Span("finish not known yet", "dim"))]
        return Outlook(training.progress, count, pieces)
    finish = run.started_at + eta.t + eta.p50_seconds
    left = max(0.0, finish - run.now)
    pieces = [*paused, *_verdict(eta, run.window, finish)]
    beside = f" (in {roughly(left)})" if width >= BESIDE_WIDTH else ""
    pieces.append(row(_mark(P50, legend), "finish ", Span(clock(finish, run.now), "strong"), beside))
    pieces.append(_between_steps(run, training))
    if eta.p90_seconds is not None:
        late_finish = run.started_at + eta.t + eta.p90_seconds
        pieces.append(row(_mark(P90, legend), "p90 ", clock(late_finish, run.now)))
    if run.window is None:
        return Outlook(training.progress, count, [*pieces, row(Span("no deadline set", "dim"))])
    pieces.append(_spare(eta.spare_seconds))
    pieces.append(row(_mark(SAFE, legend, "limit"), "safe until ", clock(run.window.safe_until, run.now)))
    return Outlook(training.progress, count, pieces)


def _between_steps(run: RunState, training: TrainingState) -> Row:
    """What goes on instead of a step, such as an evaluation, and how far it is."""
    progress = run.progress
    done = [event.t for event in (*training.evaluations[-1:], training.rehearsal) if event is not None]
    if progress is None or any(progress.t <= t for t in done):
        return ()  # an evaluation's last words may come before its end
    tally = f" {progress.done}/{progress.total}" if progress.total else f" {format_count(progress.done)}"
    return row(Span(f"… {clean(progress.what)}{tally if progress.done else ''}", "accent"))


def _spare(seconds: float | None) -> Row:
    if seconds is None:
        return row("spare –")
    return row(f"spare {roughly(seconds)}") if seconds >= 0 else row(f"short {roughly(-seconds)}")


def _mark(glyph: str, legend: bool, style: str = "mark") -> Span:
    return Span(f"{glyph} ", style) if legend else Span("")


def _verdict(eta: EtaUpdated, window: Window | None, finish: float) -> list[Row]:
    if eta.verdict is None:
        return []
    word, style = VERDICTS[eta.verdict]
    if eta.verdict == "late" and window is not None and finish > window.deadline:
        word = f"{word} by {roughly(finish - window.deadline)}"
    return [row(Span(word, style))]


def _loading(run: RunState) -> Outlook:
    progress = run.progress
    if progress is None:
        return Outlook(None, "", [])
    share = progress.done / progress.total if progress.total else None
    count = f"{progress.done}/{progress.total}" if progress.total else format_count(progress.done)
    return Outlook(share, count, [row(Span("… " + clean(progress.what), "accent"))])


def _study(run: RunState, study: StudyState) -> Outlook:
    finished = sum(trial.status.finished for trial in study.rows)
    count = f"{finished} of {len(study.rows)} trials done"
    best = study.row(study.best) if study.best is not None else None
    measured = best.result.measurement if best is not None and best.result is not None else None
    best_piece = () if best is None or measured is None else row(
        "best ", Span(f"#{best.candidate.id}", "good"), f" {format_count(measured.samples_per_second)} samples/s"
    )  # fmt: skip
    return Outlook(_share(run), count, [_study_now(run, study), best_piece, _budget(run, study)])


def _study_now(run: RunState, study: StudyState) -> Row:
    running = study.running
    if run.status is RunStatus.PAUSED:
        return row(Span("‖ PAUSED", "warn"))
    if running is not None:
        position = next(i for i, trial in enumerate(study.rows, 1) if trial is running)
        what = f"{running.probe} probe" if running.probe else "setting up"
        return row(
            f"trial {position} of {len(study.rows)}: ",
            Span(f"#{running.candidate.id} {clean(running.candidate.label)}", "strong"),
            f", {what}",
        )
    if study.count(TrialStatus.QUEUED):
        return row(Span("… the next trial starts", "dim"))
    if not study.rows:
        return row("No candidates yet: 2, then a adds one")
    if study.count(TrialStatus.WAITING):
        return row("waiting: 2 shows the trials, R runs them all")
    return row("all measured: 2 shows the trials, P promotes one")


def _budget(run: RunState, study: StudyState) -> Row:
    if study.budget_seconds is None or study.finished:
        return ()
    spent = max(0.0, run.t - study.started_at)
    return row(Span(f"{format_span(spent)} of {format_span(study.budget_seconds)} spent", "dim"))


def _finished(run: RunState) -> Outlook:
    word, style = OUTCOMES[run.outcome or "stopped"]
    if run.training is not None and run.training.finished is not None and run.training.finished.reason == "deadline":
        word = "ENDED BY THE DEADLINE"
    count = f"step {run.training.step}/{run.training.total_steps}" if run.training is not None else ""
    pieces = [row(Span(f"■ {word}", style)), row(clean(run.reason)) if run.outcome == "ok" else ()]
    if run.window is not None and run.training is not None:
        early = run.window.deadline - run.now
        pieces.append(row(f"{roughly(abs(early))} {'before' if early >= 0 else 'after'} the deadline"))
    elif run.study is not None and run.study.best is not None:
        pieces.append(row(f"best #{run.study.best}"))
    pieces.append(row(Span(f"took {roughly(run.t)}", "dim")))
    share = _share(run) if run.outcome not in ("ok", "late") or run.training is not None else 1.0
    return Outlook(share, count, pieces)


def _axis(run: RunState, width: int) -> Row:
    """The window as a line from the run's start to the deadline, with now, the finish and the safe limit on it."""
    window = run.window
    if window is None or run.training is None or width < 60:
        return ()
    start, end = clock(run.started_at, run.now), clock(window.deadline, run.now)
    room = width - len(start) - len(end) - 2
    span = window.deadline - run.started_at
    if span <= 0:
        return ()

    def column(epoch: float) -> int:
        return min(room - 1, max(0, round((epoch - run.started_at) / span * (room - 1))))

    here = column(run.now)
    cells = [Span("━", "bar")] * here + [Span("─", "rest")] * (room - here)
    marks = [(column(window.safe_until), Span(SAFE, "limit"))] if window.margin_seconds else []
    eta = run.training.eta
    if eta is not None and run.status is not RunStatus.FINISHED:
        for seconds, glyph in ((eta.p90_seconds, P90), (eta.p50_seconds, P50)):
            if seconds is not None:
                marks.append((column(run.started_at + eta.t + seconds), Span(glyph, "mark")))
    for x, mark in (*marks, (here, Span(NOW, "bar"))):
        cells[x] = mark
    return row(Span(start + " ", "dim"), *cells, Span(" " + end, "dim"))
