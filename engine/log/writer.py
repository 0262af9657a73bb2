"""Appends events to a run's log without holding up the thread that measures."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.files import open_plain
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.location import LogLocation
from speedtui.engine.log.rate_limit import RateLimit, worth_writing
from speedtui.engine.output import warn_traceback
from speedtui.engine.units import format_span

PUMP_SECONDS = 0.05
"""Between two writes: 20 a second are enough for any eye and any ETA."""
CAPACITY = 65_536
"""Events held while the disk takes none; beyond it the oldest are dropped and counted."""
BACKLOG_BYTES = 64 << 20
"""Encoded events held while the disk is full."""

EventSource = Callable[[bool], None]
"""Emits what it has buffered; told whether that is urgent, so that nothing may wait to be merged with more."""
Subscriber = Callable[[Sequence[e.AnyEvent]], None]
"""Gets what was written, in the log's order, from the pump thread, and returns at once."""


class EventLog:
    """One writer of events.jsonl: any thread emits, one pump thread writes.

    A full disk never stops the job: the events wait, and what no longer fits is counted.
    """

    def __init__(self, path: Path, clock: RunClock) -> None:
        self.clock = clock
        self._file = open_plain(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
        self._isolate_torn_line()
        self._whereabouts = LogLocation(path, os.fstat(self._file))
        self._queue: deque[e.AnyEvent] = deque()
        self._unwritten = b""
        self._dropped = 0
        self._failure: OSError | None = None
        self._failed_at = 0.0
        self._writing = threading.Lock()  # one thread drains at a time: the pump, or whoever flushes
        self._sources: list[EventSource] = []
        self._pace = RateLimit()
        self._subscribers: list[Subscriber] = []
        self._fresh: deque[e.AnyEvent] = deque(maxlen=CAPACITY)
        self._handing_over = threading.Lock()  # so that a subscriber gets the events in their order
        self._closing = threading.Event()
        self._pump = threading.Thread(target=self._run, name="event-pump", daemon=True)
        self._pump.start()

    @property
    def folder(self) -> Path:
        """The run's folder, where it is now."""
        return self._whereabouts.folder

    @property
    def failure(self) -> OSError | None:
        """Why the last write failed; None when it went well."""
        return self._failure

    def add_source(self, source: EventSource) -> None:
        """Has the pump call `source` before each write, to emit what was buffered elsewhere."""
        self._sources.append(source)

    def remove_source(self, source: EventSource) -> None:
        """The pump does not call `source` any more, from when this returns; not to be called by a source."""
        with self._writing:
            self._forget(source)

    def _forget(self, source: EventSource) -> None:
        if source in self._sources:
            self._sources.remove(source)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Has the pump thread hand over what it has written, after it has written it."""
        self._subscribers.append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Writes what is queued or buffered and hands over the rest, here; `subscriber` gets nothing after that."""
        self.flush()
        self._hand_over()
        if subscriber in self._subscribers:
            self._subscribers.remove(subscriber)

    def emit(self, event: e.AnyEvent) -> None:
        """Queues an event for the pump."""
        if len(self._queue) >= CAPACITY:
            self._queue.popleft()
            self._dropped += 1
        self._queue.append(event)

    def flush(self) -> None:
        """Writes what is queued or buffered, now; on return a killed process loses none of it."""
        self._write_out(urgent=True)

    def pump(self) -> None:
        """What the pump thread does again and again: writes what is due and hands it over."""
        self._write_out(urgent=False)
        self._hand_over()

    def _write_out(self, *, urgent: bool) -> None:
        with self._writing:
            for moved in self.clock.look():
                self.emit(moved)
            if self._whereabouts.changed():
                self.emit(self._gone_or_back())
            for source in tuple(self._sources):
                try:
                    source(urgent)
                except Exception as error:  # the log must outlive whatever it is fed from
                    warn_traceback(error)
                    self._forget(source)
                    text = f"a part of the measuring has stopped: {type(error).__name__}: {error}"
                    self.emit(e.Notice(t=self.clock.now(), level="error", text=text, hint="See worker.log."))
            self._drain()

    def _gone_or_back(self) -> e.Notice:
        """Of the run's folder. One that was removed, or moved to another disk, is made anew for what is saved."""
        t, folder = self.clock.now(), self._whereabouts.path.parent
        if self._whereabouts.here:
            return e.Notice(t=t, level="info", text=f"the run's folder is at {folder} again")
        text = f"the run's folder {folder} was moved"
        if self._whereabouts.follow():
            hint = "The run goes on there: it saves there and hears the commands that are sent there."
            return e.Notice(t=t, level="warning", text=f"{text} to {self.folder}", hint=hint)
        hint = f"Move it back: until then no command is heard, and what is saved goes to a new folder {folder}."
        return e.Notice(t=t, level="error", text=f"{text} or removed", hint=hint)

    def _hand_over(self) -> None:
        with self._handing_over:
            events = [self._fresh.popleft() for _ in range(len(self._fresh))]
            for subscriber in tuple(self._subscribers) if events else ():
                try:
                    subscriber(events)
                except Exception as error:  # whoever listens must not end the log
                    warn_traceback(error)
                    self._subscribers.remove(subscriber)

    def close(self) -> None:
        """Writes the rest and ends the pump."""
        self._closing.set()
        self._pump.join(timeout=5)
        self.flush()
        self._hand_over()
        os.close(self._file)

    def _run(self) -> None:
        while not self._closing.wait(PUMP_SECONDS):
            self.pump()

    def _drain(self) -> None:
        pieces = [self._unwritten]
        if self._dropped and self._failure is None:
            pieces.append(e.encode(e.EventsDropped(t=self.clock.now(), count=self._dropped)))
            self._dropped = 0
        while self._queue:
            event = worth_writing(self._queue.popleft())
            line = e.encode(event)
            if self._pace.lets(event, len(line)):
                pieces.append(line)
                if self._subscribers:
                    self._fresh.append(event)
        data, failed = b"".join(pieces), self._failure
        self._unwritten = self._write(data) if data else b""
        if failed is not None and self._failure is None:
            self._tell_recovery(failed)
        if len(self._unwritten) > BACKLOG_BYTES:
            lines = self._unwritten.splitlines(keepends=True)
            self._dropped += len(lines) // 2
            self._unwritten = b"".join(lines[len(lines) // 2 :])

    def _tell_recovery(self, failed: OSError) -> None:
        """Once it takes lines again, so that whoever reads it later knows why they came late."""
        seconds = time.monotonic() - self._failed_at
        text = f"the log took nothing for {format_span(seconds)}: {failed.strerror}; what waited is written now"
        self._queue.appendleft(e.Notice(t=self.clock.now(), level="warning", text=text))
        self._drain()

    def _write(self, data: bytes) -> bytes:
        """Returns what could not be written."""
        while data:
            try:
                written = os.write(self._file, data)
            except OSError as error:
                self._failed_at = self._failed_at if self._failure is not None else time.monotonic()
                self._failure = error
                return data
            data = data[written:]
        self._failure = None
        return b""

    def _isolate_torn_line(self) -> None:
        """After a crash in mid-line, starts a new line, so that only the torn one is lost."""
        size = os.fstat(self._file).st_size
        if size == 0:
            return
        if os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")


def append_event(path: Path, event: e.AnyEvent) -> None:
    """Appends a line in one write, so that it stands whole beside those of a worker that writes at the same time.

    After half a line, as a killed worker or a full disk leaves it, it begins a new one.

    Raises:
        OSError: it cannot be written.
    """
    file = open_plain(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        os.write(file, b"\n" * torn + e.encode(event))
    finally:
        os.close(file)
