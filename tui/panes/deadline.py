"""How far it is and when it will be done; the last line to go on a small screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.window import Window
from speedtui.engine.events import EtaUpdated
from speedtui.engine.state import RunState, RunStatus, StudyState, TrainingState
from speedtui.engine.timing.verdict import steps_needed
from speedtui.engine.units import format_budget, format_count, format_span
from speedtui.tui.drawing.bars import bar
from speedtui.tui.drawing.border import EDGES, HEADING_EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, plain, roughly, row, width_of
from speedtui.tui.frame import Frame, ReplayPosition
from speedtui.tui.panes.notices import notices
from speedtui.tui.panes.pane import Pane, title
from speedtui.tui.panes.time_axis import draw_axis, has_axis

VERDICTS = {"measuring": ("MEASURING", "dim"), "on_track": ("ON TRACK", "good"), "tight": ("TIGHT", "warn"),
            "late": ("LATE", "bad")}  # fmt: skip
OUTCOMES = {"ok": ("DONE", "good"), "late": ("DONE LATE", "warn"), "stopped": ("STOPPED", "warn"),
            "failed": ("FAILED", "bad"), "no_fit": ("NOTHING FITS", "bad")}  # fmt: skip
WINDOW_WIDTH = 100
"""From here on the window's length stands beside the deadline."""
BESIDE_WIDTH = 40
"""Below it the finish stands without the time left, so that it finds room beside the longest verdict."""
TWO_ROWS_BELOW = 100
"""Cells inside below which what there is to say takes two rows."""


class DeadlineText(NamedTuple):
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


def deadline_rows(frame: Frame, width: int) -> int:
    """Rows with which nothing is left out, edges and what needs a person included."""
    inner = width - EDGES - INSET
    words = 2 if inner < TWO_ROWS_BELOW or not has_axis(frame.run, inner) else 1
    return EDGES + 1 + words + (2 if has_axis(frame.run, inner) else 0) + len(notices(frame, inner))


def draw_deadline(frame: Frame, width: int, height: int) -> list[Row]:
    """The pane at a size: a bar, the window as a line with its labels where rows are left for both, the verdict, what
    needs a person. With two rows inside, what needs a person takes the bar's.
    """
    run = frame.run
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    urgent = notices(frame, inner_width)
    axis = draw_axis(run, inner_width, frame.now)[: max(0, inner_height - len(urgent) - 2)]
    outlook = _outlook(frame, inner_width)
    count = Span(f"  {outlook.tally}") if outlook.tally else Span("")
    top = row(bar(outlook.share, max(4, inner_width - width_of((count,)))), count)
    words = _packed(outlook.pieces, inner_width)
    heading = _title(run, width)
    right = _right(frame, width - width_of(heading) - HEADING_EDGES)
    if urgent and inner_height <= 2:
        return bordered(heading, right, [words, *urgent[:1]], width, height)
    rows = [top, *axis, words]
    if inner_height - len(rows) > len(urgent):
        shown = plain(words)
        rest = [piece for piece in outlook.pieces if plain(piece) not in shown]
        rows += [pack(rest, inner_width)] if rest else []
    return bordered(heading, right, [*rows, *urgent], width, height)


def _packed(pieces: Sequence[Row], width: int) -> Row:
    """Closer together where that leaves room for one more."""
    close, wide = pack(pieces, width, gap="  "), pack(pieces, width)
    return close if len(plain(close).split()) > len(plain(wide).split()) else wide


def _title(run: RunState, width: int) -> Row:
    if run.window is not None:
        length = run.window.deadline - run.started_at
        window = Span(f"window {format_span(length)}", "dim") if width >= WINDOW_WIDTH and run.started_at else ""
        return title(f"Deadline {clock(run.window.deadline, run.now)}", window)
    if run.training is None and run.study is not None:
        return title(f"Study {clean(run.study.mode)}")
    return title("Progress")


def _right(frame: Frame, width: int) -> Row:
    """How long it has gone on and how fast, and now, or the place in a recording; now goes last as room gets short."""
    run = frame.run
    if not run.started_at:
        return ()
    over = run.status is RunStatus.FINISHED
    moment = row(Span(f"{'ended' if over else 'now'} {clock(frame.now, frame.now)}", "dim"))
    end = _position(frame.replay) if frame.replay is not None else moment
    rate = run.training.eta.steps_per_hour if run.training is not None and run.training.eta is not None else None
    pieces = [Span("" if over else text, "dim") for text in _gone(run)]
    pieces += [Span(f"{format_count(rate)} steps/h", "dim")] if rate is not None and not over else []
    room = width - width_of(end) - 3
    before = pack([row(piece) for piece in pieces if piece.text and len(piece.text) <= room], room)
    return row(before, "   ", end) if before else end


def _gone(run: RunState) -> list[str]:
    """`2h 10m gone`, and apart from it what no worker was there for, and what stood still."""
    away = run.books.phases.get("away", 0.0) if run.books is not None else 0.0
    apart = {"without a worker": away, "asleep": run.moves.slept_seconds, "suspended": run.moves.suspended_seconds}
    told = [f"{roughly(seconds)} {words}" for words, seconds in apart.items() if seconds >= 1]
    return [f"{roughly(run.t - away)} gone", *(f"+ {text}" for text in told)]


def _position(replay: ReplayPosition) -> Row:
    """`▶ 10x  1h 02m / 2h 08m`"""
    sign = Span("‖ paused", "warn") if replay.paused else Span(f"▶ {replay.speed:g}x", "accent")
    return row(sign, Span(f"  {format_span(replay.t)} / {format_span(replay.end)}", "dim"))


def _outlook(frame: Frame, width: int) -> DeadlineText:
    run = frame.run
    if frame.error is not None:
        return DeadlineText(None, "", [row(Span("✗ " + clean(frame.error.message), "bad"))])
    if run.status is RunStatus.FINISHED:
        return _finished(run)
    if run.status is RunStatus.LOST:
        return DeadlineText(_share(run), "", [row(Span("✗ WORKER LOST", "bad"))])
    if run.status is RunStatus.UNKNOWN:
        return DeadlineText(_share(run), "", [row(Span("? UNKNOWN", "warn"))])
    if frame.note:
        return DeadlineText(None, "", [row(Span("… " + frame.note, "accent"))])
    if run.training is not None:
        return _training(frame, run.training, width)
    if run.progress is not None:
        return _loading(run)
    if run.study is not None:
        return _study(run, run.study)
    words = "starting the worker" if run.status is RunStatus.STARTING else "loading the model and the data"
    return DeadlineText(None, "", [row(Span(f"… {words}", "dim"))])


def _share(run: RunState) -> float | None:
    if run.training is not None:
        return run.training.progress
    if run.study is not None and run.study.rows:
        return sum(trial.status.finished for trial in run.study.rows) / len(run.study.rows)
    return None


def _training(frame: Frame, training: TrainingState, width: int) -> DeadlineText:
    run, now = frame.run, frame.now
    count = f"{training.progress * 100:.1f} %  step {training.step}/{training.total_steps}"
    paused = [row(Span("‖ PAUSED", "warn"))] if run.status is RunStatus.PAUSED else []
    if training.nonfinite is not None and training.nonfinite.certain:
        paused.append(row(Span("✗ DIVERGED", "bad")))
    eta = training.eta
    if eta is None or eta.p50_seconds is None:
        waiting = row(Span(f"… {_measuring(training)}", "dim")) if run.window is not None else row("finish –")
        pieces = [*paused, waiting, _between_steps(run, training), row(Span("finish not known yet", "dim"))]
        return DeadlineText(training.progress, count, pieces)
    finish = run.ahead(eta.t, eta.p50_seconds)
    left = max(0.0, finish - now)
    pieces = [*paused, *_verdict(eta, run.window, training, finish)]
    beside = f" (in {roughly(left)})" if width >= BESIDE_WIDTH else ""
    pieces.append(row("finish ", Span(clock(finish, now), "strong"), beside))
    pieces.append(_between_steps(run, training))
    if eta.p90_seconds is not None:
        pieces.append(row("p90 ", clock(run.ahead(eta.t, eta.p90_seconds), now)))
    if run.window is None:
        return DeadlineText(training.progress, count, [*pieces, row(Span("no deadline set", "dim"))])
    pieces += [_spare(eta.spare_seconds), row("safe until ", clock(run.window.safe_until, now))]
    return DeadlineText(training.progress, count, [*pieces, _needed(run, run.window, training, eta)])


def _measuring(training: TrainingState) -> str:
    """With the steps that the verdict waits for; without them once only the warm-up among them is not known."""
    needed = steps_needed(training.total_steps - training.first_step)
    done = training.step - training.first_step
    return f"MEASURING {done}/{needed}" if done < needed else "MEASURING"


def _needed(run: RunState, window: Window, training: TrainingState, eta: EtaUpdated) -> Row:
    """The rate at which the steps still to come end at the safe limit, by the tokens of a step so far."""
    has, steps = training.steps.tokens_per_second, training.step_totals.count
    others = sum(seconds for name, seconds in eta.terms.items() if name != "steps")
    room = window.safe_until - run.ahead(eta.t, others)
    if has is None or not training.tokens or not steps or room <= 0:
        return ()
    needed = (training.total_steps - training.step) * training.tokens / steps / room
    return row(Span("needs ", "dim"), f"≥ {format_count(needed)} tok/s", Span(", has ", "dim"), format_count(has))


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
    return row(f"spare {roughly(seconds)}") if seconds >= 0 else row(f"short {roughly(max(1.0, -seconds))}")


def _verdict(eta: EtaUpdated, window: Window | None, training: TrainingState, finish: float) -> list[Row]:
    if eta.verdict is None:
        return []
    word, style = VERDICTS[eta.verdict]
    if eta.verdict == "measuring":
        word = f"… {_measuring(training)}"
    elif eta.verdict == "late" and window is not None and finish > window.deadline:
        word = f"{word} by {roughly(max(1.0, finish - window.deadline))}"  # nobody is late by 0s
    return [row(Span(word, style))]


def _loading(run: RunState) -> DeadlineText:
    progress = run.progress
    if progress is None:
        return DeadlineText(None, "", [])
    share = progress.done / progress.total if progress.total else None
    done = format_count(progress.done) if progress.done else ""  # of an unknown number, none says nothing
    count = f"{progress.done}/{progress.total}" if progress.total else done
    return DeadlineText(share, count, [row(Span("… " + clean(progress.what), "accent"))])


def _study(run: RunState, study: StudyState) -> DeadlineText:
    finished = sum(trial.status.finished for trial in study.rows)
    count = f"{finished} of {len(study.rows)} trials done"
    best = study.row(study.best) if study.best is not None else None
    measured = best.result.measurement if best is not None and best.result is not None else None
    best_piece = () if best is None or measured is None else row(
        "best ", Span(f"#{best.candidate.id}", "good"), f" {format_count(measured.samples_per_second)} samples/s"
    )  # fmt: skip
    return DeadlineText(_share(run), count, [_study_now(run, study), best_piece, _budget(run, study)])


def _study_now(run: RunState, study: StudyState) -> Row:
    running = study.running
    if run.status is RunStatus.PAUSED:
        return row(Span("‖ PAUSED", "warn"))
    if running is not None:
        position = 1 + sum(trial.status.finished for trial in study.rows)  # they run in the order they were asked for
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
    return row(Span(f"{format_span(spent)} of {format_budget(study.budget_seconds)} spent", "dim"))


def _finished(run: RunState) -> DeadlineText:
    word, style = OUTCOMES[run.outcome or "stopped"]
    if run.training is not None and run.training.finished is not None and run.training.finished.reason == "deadline":
        word = "ENDED BY THE DEADLINE"
    elif run.training is not None and run.training.finished is not None and run.training.finished.reason == "diverged":
        word = "FAILED: DIVERGED"
    count = f"step {run.training.step}/{run.training.total_steps}" if run.training is not None else ""
    pieces = [row(Span(f"■ {word}", style)), row(clean(run.reason)) if run.outcome == "ok" else ()]
    if run.window is not None and run.training is not None:
        early = run.window.deadline - run.now
        pieces.append(row(f"{roughly(abs(early))} {'before' if early >= 0 else 'after'} the deadline"))
    elif run.study is not None and run.study.best is not None:
        pieces.append(row(f"best #{run.study.best}"))
    pieces.append(row(Span(f"took {roughly(run.t)}", "dim")))
    share = _share(run) if run.outcome not in ("ok", "late") or run.training is not None else 1.0
    return DeadlineText(share, count, pieces)
