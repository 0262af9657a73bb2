"""What needs a person now, below the deadline: trouble while it lasts, what helps a late run, how a run ended."""

from __future__ import annotations

import shlex

from speedtui.engine.events import CheckpointFailed, NonFiniteFound, Stalled, WorkerSuspended
from speedtui.engine.plan_types import Advice
from speedtui.engine.runs import UNKNOWN
from speedtui.engine.state import RunState, RunStatus, TrainingState
from speedtui.engine.state.event_words import describe_nonfinite
from speedtui.engine.units import format_size, format_span
from speedtui.tui.drawing.text import Row, Span, clean, crop, roughly, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.ending import ending

MOST_ROWS = 4
LEVERS_KEY = "l"


def notices(frame: Frame, width: int) -> list[Row]:
    """At most four rows of at most `width` cells, the most important first; none while all is well."""
    run = frame.run
    if frame.error is not None:
        return [row(line) for line in wrap(frame.error.hint, width, MOST_ROWS)]
    if run.status is RunStatus.FINISHED:
        return ending(run, width, MOST_ROWS)
    if run.status is RunStatus.LOST:
        return _lost(frame, width)
    if run.status is RunStatus.UNKNOWN:
        return [row(line) for line in wrap(UNKNOWN, width, MOST_ROWS)]
    lever = _lever(run.training, width) if run.training is not None else ()
    return [crop(line, width) for line in (*_trouble(run), lever) if line]


def _lost(frame: Frame, width: int) -> list[Row]:
    """The reason, and how to go on where no session will: of a live run it starts the worker again, or ends the run."""
    run = frame.run
    reason = clean(run.log[-1].text) if run.log else ""
    goes_on = run.training is not None and frame.read_only
    resume = f"Go on: speedtui train --resume {shlex.quote(run.run)}" if goes_on else ""
    rows = [row(line) for line in wrap(resume, width)]
    return [*(row(line) for line in wrap(reason, width, max(1, MOST_ROWS - len(rows)))), *rows]


def _trouble(run: RunState) -> list[Row]:
    stalled = _stalled(run, run.stalled) if run.stalled is not None else ()
    if run.suspended is not None:
        stalled = _suspended(run.suspended)
    training = run.training
    failure = training.checkpoint_failure if training is not None else None
    broken = _not_finite(training.nonfinite) if training is not None and training.nonfinite is not None else ()
    full = _full(run.full_disk_bytes) if run.full_disk_bytes is not None and run.status.busy else ()
    return [full, stalled, broken, _unsaved(run, failure) if failure is not None and run.status.busy else ()]


def _stalled(run: RunState, stall: Stalled) -> Row:
    """Counted on by the events that still come, such as those of the hardware."""
    since = stall.seconds + max(0.0, run.t - stall.t)
    return row(
        Span("✗ STALLED", "bad"),
        f" {roughly(since)} in {clean(stall.phase)}, {format_span(stall.budget_seconds)} expected at most;"
        " stacks in worker.log",
    )


def _full(free: int) -> Row:
    return row(
        Span("✗ DISK FULL", "bad"), f" {format_size(free)} free where the run is: its log and checkpoints wait for room"
    )


def _suspended(suspended: WorkerSuspended) -> Row:
    return row(Span("‖ SUSPENDED", "warn"), f" no time of the run passes; kill -CONT -- -{suspended.pid} lets it go on")


def _not_finite(found: NonFiniteFound) -> Row:
    return row(Span("✗ NOT FINITE", "bad"), f" {describe_nonfinite(found)}")


def _unsaved(run: RunState, failure: CheckpointFailed) -> Row:
    left = failure.t + failure.retry_seconds - run.t
    after = f"next try in {_tens(left)}" if left > 0 else "trying again"
    return row(Span("! NOT SAVED", "warn"), f" step {failure.step}: {clean(failure.reason)}; ", Span(after, "dim"))


def _tens(seconds: float) -> str:
    """To ten seconds: a row that counts every one of them is drawn for nothing."""
    return format_span(max(10.0, round(seconds / 10) * 10))


def _lever(training: TrainingState, width: int) -> Row:
    """The best lever with its gain, and the key that shows them all; the gain is kept where words are cut."""
    if not training.levers or training.finished is not None:
        return ()
    best, more = training.levers[0], len(training.levers) - 1
    gain = f"{gain_words(best)}{_enough(best, training)}"
    end = row(Span(f" {gain}", "good") if gain else (), Span(f"  +{more} more" if more else "", "dim"))
    room = width - sum(len(span.text) for span in end) - 3
    if room < 12:
        return crop(row(Span(LEVERS_KEY, "key"), end), width)
    words = crop(row(f"{clean(best.lever)}{':' if gain else ''}"), room)
    return row(Span(f"{LEVERS_KEY}  ", "key"), words, end)


def _enough(lever: Advice, training: TrainingState) -> str:
    """Whether it is all that is missing, or part of how much."""
    spare = training.eta.spare_seconds if training.eta is not None else None
    if lever.gain_seconds is None or spare is None or spare >= 0:
        return ""
    return ", enough" if lever.gain_seconds >= -spare else f" of {roughly(max(1.0, -spare))}"


def gain_words(lever: Advice) -> str:
    """`saves 48m`."""
    return f"saves {roughly(lever.gain_seconds)}" if lever.gain_seconds is not None else ""
