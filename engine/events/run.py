"""What happens to any run: it starts, loads, obeys, ends."""

from __future__ import annotations

from typing import Any

from speedtui.engine.config.window import Window
from speedtui.engine.events.base import Books, Device, Event, Job, Level, MoveCause, Outcome


class RunStarted(Event, frozen=True, kw_only=True):
    """A worker took up the run; again after each restart of the worker."""

    run: str
    job: Job
    started_at: float
    """Wall clock, seconds since the epoch, of the run's first start."""
    host: str
    pid: int
    devices: list[Device]
    versions: dict[str, str]
    config: dict[str, dict[str, Any]]
    """The resolved configuration."""
    window: Window | None = None
    restarts: int = 0


class ProgressMade(Event, frozen=True, kw_only=True):
    """Something that takes over a second got further."""

    what: str
    """Such as `tokenizing train.jsonl`."""
    done: int
    total: int | None = None
    left_seconds: float | None = None
    """Until all of it is done, about; None where that is not known."""


class ModelLoaded(Event, frozen=True, kw_only=True):
    """The model and data are in memory; it happens once a worker."""

    model: str
    parameters: int
    trainable_parameters: int | None
    seconds: float
    train_rows: int
    eval_rows: int
    longest_tokens: int | None
    mean_tokens: float | None
    cut_rows: int = 0
    """Training rows longer than max_length."""
    dropped_rows: int = 0
    """Rows without a token to learn from."""
    held_out_rows: int = 0
    """Rows of the training file that `data.validation_share` keeps for evaluations."""
    longest_target_tokens: int | None = None
    """Of an encoder-decoder, whose `longest_tokens` is its longest source; None for any other model."""
    mean_target_tokens: float | None = None
    """The part of `mean_tokens` that is the target's."""
    eval_cut_rows: int = 0
    """Of the evaluation data, rows longer than max_length."""
    eval_dropped_rows: int = 0
    """Of the evaluation data, rows that its loss does not count: without a token to learn from, or past max_length."""


class SpanCompleted(Event, frozen=True, kw_only=True):
    """A stretch between training steps ended.

    `gap`: from the last step of an epoch to the first of the next, with all that was evaluated and saved in it.
    """

    phase: str
    seconds: float
    step: int | None = None


class Stalled(Event, frozen=True, kw_only=True):
    """Nothing has happened for longer than it ever takes; written by the session that looks on."""

    phase: str
    """training, eval, checkpoint or load."""
    seconds: float
    """Since the last sign of life."""
    budget_seconds: float


class ClockMoved(Event, frozen=True, kw_only=True):
    """The wall clock has moved against the run's own time, which stands still while nothing can be worked at."""

    seconds: float
    """That the wall clock is further ahead since; below zero where it was set back."""
    cause: MoveCause


class WorkerSuspended(Event, frozen=True, kw_only=True):
    """The worker's process is stopped, as by SIGSTOP, and not dead; written by the session that looks on."""

    pid: int


class BooksUpdated(Event, frozen=True, kw_only=True):
    """Where the time went up to here; every few seconds, so that a killed worker's books are known."""

    books: Books


class CommandReceived(Event, frozen=True, kw_only=True):
    """The worker read a command."""

    id: str
    command: str


class CommandApplied(Event, frozen=True, kw_only=True):
    """A command took effect."""

    id: str
    command: str
    detail: str = ""


class CommandRefused(Event, frozen=True, kw_only=True):
    """A command cannot be followed, and why."""

    id: str
    command: str
    reason: str


class Paused(Event, frozen=True, kw_only=True):
    """The job waits at a step boundary."""


class Resumed(Event, frozen=True, kw_only=True):
    """The job goes on."""


class WorkerLost(Event, frozen=True, kw_only=True):
    """The worker process died without finishing the run; written by the session that saw it."""

    reason: str
    """Such as `killed by SIGKILL`."""
    restarting: bool


class Notice(Event, frozen=True, kw_only=True):
    """Something a person should know."""

    level: Level
    text: str
    hint: str = ""


class AlertSent(Event, frozen=True, kw_only=True):
    """The user's command is about to be run for something that happened at `t`; it is not run for it again."""

    alert: str
    """Its kind, one of `notify.on`."""
    key: str
    """Of the one thing in this run."""


class EventsDropped(Event, frozen=True, kw_only=True):
    """The log could not keep up or could not be written; this many events are missing here."""

    count: int


class RunFinished(Event, frozen=True, kw_only=True):
    """The run is over."""

    outcome: Outcome
    exit_code: int
    reason: str = ""
    next: str = ""
    """What to do now, in one line."""
    books: Books | None = None
