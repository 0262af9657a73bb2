"""What a job has at hand: its log, its clocks, its commands, and whether it should end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.order import Order
from speedtui.engine.errors import ExitCode
from speedtui.engine.hardware.sampler import RecentReadings
from speedtui.engine.log.commands import CommandTail
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.runs import RunFolder

if TYPE_CHECKING:
    from speedtui.engine.state import RunState

PAUSE_POLL_SECONDS = 0.1
BOOKS_SECONDS = 10.0
"""Between two entries of the books in the log: what a killed worker leaves untold."""
PROGRESS_SECONDS = 0.1
"""Between two progress events of the same thing."""


class JobStopped(Exception):
    """The job was asked to end; `save` says whether to keep what there is."""

    def __init__(self, exit_code: ExitCode, *, save: bool) -> None:
        super().__init__(exit_code.name.lower())
        self.exit_code = exit_code
        self.save = save


class Refused(Exception):
    """A command cannot be followed; the text says why."""


Handler = Callable[[c.AnyCommand], str]
"""Follows a command and returns what to say of it; raises Refused."""


class JobContext:
    """One run as its job sees it. Used by the thread that runs the job, except `request_stop`."""

    def __init__(
        self, folder: RunFolder, settings: Settings, order: Order, log: EventLog, before: RunState,
        handled: frozenset[str],
    ) -> None:  # fmt: skip
        """`before`: the state an earlier worker left; `handled`: ids of the commands it answered."""
        self.settings = settings
        self.order = order
        self.log = log
        self.clock = log.clock
        self.before = before
        self.phases = PhaseClock(self.clock.now(), before.books)
        self.devices: list[e.Device] = []
        self.versions: dict[str, str] = {}
        self.loaded: e.ModelLoaded | None = before.model
        """What the run's model and data are, once they are loaded."""
        self.readings = RecentReadings()
        """Of the devices, while a sampler takes them."""
        self.handlers: dict[type[c.AnyCommand], Handler] = {}
        self._handled = handled
        self._tail = CommandTail(folder.commands)
        self._inbox: queue.SimpleQueue[c.AnyCommand | ValueError] = queue.SimpleQueue()
        self._stop: JobStopped | None = None
        self._paused = False
        self._progress_due: dict[str, float] = {}
        self._warned: set[str] = set()
        self._books_due = time.monotonic() + BOOKS_SECONDS
        log.add_source(self._fetch_commands)
        log.add_source(self._tell_books)

    @property
    def folder(self) -> RunFolder:
        """The run's, where it is now: it may be moved while the job goes on."""
        return RunFolder(self.log.folder)

    # -- events ------------------------------------------------------------------------------------

    def emit(self, event: e.AnyEvent, *, flush: bool = False) -> None:
        """Logs an event; with `flush` it is on disk when this returns."""
        self.log.emit(event)
        if flush:
            self.log.flush()

    def finish(self, event: e.RunFinished) -> None:
        """Logs the run's end, on disk when this returns; the books are in it, and none are told after it."""
        self.log.remove_source(self._tell_books)
        self.emit(event, flush=True)

    @property
    def t(self) -> float:
        """Seconds since the run started."""
        return self.clock.now()

    def notice(self, text: str, *, level: e.Level = "info", hint: str = "") -> None:
        """Tells a person something."""
        self.emit(e.Notice(t=self.t, level=level, text=text, hint=hint))

    def tell_once(self, text: str) -> None:
        """What is told once however often it is found."""
        self.warn_once(text, level="info")

    def warn_once(self, text: str, *, level: e.Level = "warning") -> None:
        """A warning that is told once however often it is found; nothing where there is no text."""
        if text and text not in self._warned:
            self._warned.add(text)
            self.notice(text, level=level)

    def progress(self, what: str, done: int, total: int | None, left_seconds: float | None = None) -> None:
        """Tells how far something is, at most ten times a second; also where a stop can take effect.

        `left_seconds`: until all of it is done, about.
        """
        now = time.monotonic()
        finished = total is not None and done >= total
        if finished or now >= self._progress_due.get(what, 0.0):
            self._progress_due[what] = now + PROGRESS_SECONDS
            self.emit(e.ProgressMade(t=self.t, what=what, done=done, total=total, left_seconds=left_seconds))
            self.poll()

    def _tell_books(self, urgent: bool) -> None:
        now = time.monotonic()
        if now >= self._books_due:
            self._books_due = now + BOOKS_SECONDS
            self.emit(e.BooksUpdated(t=self.t, books=self.phases.peek()))

    # -- commands ----------------------------------------------------------------------------------

    def _fetch_commands(self, urgent: bool) -> None:
        self._tail.follow(self.folder.commands)
        for command in self._tail.read():
            if isinstance(command, c.Note):
                self._mark(command)
            else:
                self._inbox.put(command)

    def _mark(self, command: c.Note) -> None:
        """At once and in the log's own thread: the moment is what matters, and the job may be in mid-evaluation."""
        if command.id not in self._handled:
            self.notice(f"marked: {command.text}" if command.text else "marked")
            self.emit(e.CommandApplied(t=self.t, id=command.id, command=c.command_name(command)))

    def request_stop(self, exit_code: ExitCode, *, save: bool = True) -> None:
        """Has `poll` end the job. Safe from a signal handler and from any thread."""
        self._stop = JobStopped(exit_code, save=save)

    def forget_stop(self) -> None:
        """For a job that ends something less than itself."""
        self._stop = None

    @property
    def paused(self) -> bool:
        """Whether nothing is done until a resume comes."""
        return self._paused

    def poll(self) -> None:
        """Follows the commands that have come and waits out a pause; to be called at every step boundary.

        Raises:
            JobStopped: the job is to end.
        """
        self.follow_commands()
        if self._paused and self._stop is None:
            self._wait_out_pause()
        if self._stop is not None:
            raise self._stop

    def follow_commands(self) -> None:
        """Follows the commands that have come, without ending or waiting."""
        while not self._inbox.empty():
            self._follow(self._inbox.get())

    def _wait_out_pause(self) -> None:
        self.log.flush()  # the steps before the pause come before it
        self.emit(e.Paused(t=self.t), flush=True)
        with self.phases.phase("paused"):
            while self._paused and self._stop is None:
                time.sleep(PAUSE_POLL_SECONDS)
                self.follow_commands()
        self.emit(e.Resumed(t=self.t))

    def _follow(self, command: c.AnyCommand | ValueError) -> None:
        if isinstance(command, ValueError):
            self.notice(f"commands.jsonl: {command}", level="warning")
            return
        if command.id in self._handled:
            return
        name = c.command_name(command)
        self.emit(e.CommandReceived(t=self.t, id=command.id, command=name))
        try:
            detail = self._apply(command)
        except Refused as refusal:
            self.emit(e.CommandRefused(t=self.t, id=command.id, command=name, reason=str(refusal)), flush=True)
        else:
            self.emit(e.CommandApplied(t=self.t, id=command.id, command=name, detail=detail), flush=True)

    def _apply(self, command: c.AnyCommand) -> str:
        handler = self.handlers.get(type(command))
        if handler is not None:
            return handler(command)
        match command:
            case c.Pause():
                if self._paused:
                    raise Refused("it is paused already")
                self._paused = True
                return ""
            case c.Resume():
                if not self._paused:
                    raise Refused("it is not paused")
                self._paused = False
                return ""
            case c.Stop():
                self.request_stop(ExitCode.DONE)
                return "after this step"
            case c.Cancel():
                self.request_stop(ExitCode.INTERRUPTED, save=False)
                return "after this step, without saving"
        raise Refused("this run has nothing it could apply to now")
