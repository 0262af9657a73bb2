"""Follows a run's log and keeps its state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf

from speedtui.engine import events as e
from speedtui.engine.clean import shell_line
from speedtui.engine.commands import AnyCommand
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.commands import append_command
from speedtui.engine.log.location import LogLocation
from speedtui.engine.log.read import unreadable
from speedtui.engine.log.tail import CHUNK_BYTES, EventTail
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.base import OnLine
from speedtui.engine.session.disk_space import DiskSpaceWatch
from speedtui.engine.session.stall import StallBudgets, StallWatch
from speedtui.engine.session.worker_process import ask_for_stacks, is_stopped
from speedtui.engine.state import RunState, StateReducer

SILENT_SECONDS = 3.0
"""Without an event, of which the hardware's come every second, before a worker is looked at from outside."""
HELD_UP_SECONDS = 2.0
"""Between two looks, which come ten times a second, even on a busy machine."""


class Follower:
    """Folds new lines of the log; `snapshot` may be called from another thread than `read`.

    A long log is folded piece by piece, with a snapshot after each.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._tail = EventTail(folder.events)
        self._folder = StateReducer()
        self._state = self._folder.snapshot()
        self._folding = threading.Lock()  # a screen may read while the session's thread does
        self._path = folder.events
        self._read_all = False
        self.whereabouts = LogLocation(folder.events)
        self._behind = 0.0
        self._heard = time.monotonic()
        self.share: float | None = None
        """Of the log that was read, while there is much of it still to be read."""

    def read(self, on_line: OnLine | None = None, *, seconds: float = inf) -> bool:
        """Takes in what is new, for about so long; whether all of it was.

        Raises:
            RunFolderError: the log cannot be read.
        """
        give_up = time.monotonic() + seconds
        with self._folding:
            for pairs in self._pieces():
                if any(not isinstance(event, e.WorkerSuspended) for _, event in pairs):
                    self._heard, self._behind = time.monotonic(), 0.0
                for line, event in pairs:
                    self._folder.apply(event)
                    if on_line is not None:
                        on_line(line, event)
                self._folder.pass_over(self._tail.passed_over)
                self._state = self._folder.snapshot()
                if time.monotonic() >= give_up and not self._near_the_end():
                    return False
            self.share = None
            if not self._read_all and self._state.started_at:
                self._read_all, self._behind = True, max(0.0, time.time() - self._state.now)
            return True

    def _pieces(self) -> Iterator[list[tuple[bytes, e.AnyEvent]]]:
        pieces = self._tail.pieces()
        while True:
            try:
                pairs = next(pieces, None)
            except OSError as error:
                raise unreadable(self._path, error) from None
            if pairs is None:
                return
            yield pairs

    def tell(self, event: e.AnyEvent, on_line: OnLine | None) -> None:
        """Takes in what is not in the log."""
        with self._folding:
            self._folder.apply(event)
            self._state = self._folder.snapshot()
            if on_line is not None:
                on_line(e.encode(event).rstrip(), event)

    def see_disk(self, full: int | None) -> None:
        """Takes in the free bytes of the run's disk where it is full; None: it is not."""
        with self._folding:
            self._folder.see_disk(full)
            self._state = self._folder.snapshot()

    def see_worker(self, *, unknown: bool) -> None:
        """Takes in whether it cannot be told if a worker lives."""
        with self._folding:
            self._folder.see_worker(unknown=unknown)
            self._state = self._folder.snapshot()

    def close(self) -> None:
        """Nobody writes the log any more: half a line at its end counts as passed over."""
        with self._folding:
            self._folder.pass_over(self._tail.passed_over_at_end)
            self._state = self._folder.snapshot()

    @property
    def silent_seconds(self) -> float:
        """Since the last event, by a clock that nobody sets; of a log that was there already, by its wall clock up to
        the first look."""
        return time.monotonic() - self._heard + self._behind

    def _near_the_end(self) -> bool:
        """Whether less than another piece is left; else notes how much was read."""
        try:
            size = self._path.stat().st_size
        except OSError:
            return True
        if size - self._tail.bytes_read < CHUNK_BYTES:
            return True
        self.share = self._tail.bytes_read / size
        return False

    def snapshot(self) -> RunState:
        """The state after the last `read`."""
        return self._state


class FollowedRun:
    """What every session over a run's folder shares: where it is, its state, its command file."""

    ending = "ending at the next step boundary; once more to end at once"

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._follower = Follower(folder)
        self._room = DiskSpaceWatch(folder)

    @property
    def folder(self) -> RunFolder:
        """Where the run is."""
        return self._folder

    def snapshot(self) -> RunState:
        """The state now."""
        return self._follower.snapshot()

    @property
    def silent_seconds(self) -> float:
        """Since the last event."""
        return self._follower.silent_seconds

    @property
    def share_read(self) -> float | None:
        """Of a long log, while it is read for the first time; None once all of it was."""
        return self._follower.share

    def settle(self, waiting: Callable[[], None] | None = None) -> str:
        """To be called before this program ends, after `run`; waits for what else was started, and says what of it went
        wrong, or nothing. `waiting` is called where that takes long."""
        return ""

    def _look_at_disk(self, on_line: OnLine | None) -> None:
        """Tells at once where the job's disk is full."""
        if self._room.news(time.monotonic()):
            begins = self.snapshot().full_disk_bytes is None
            self._follower.see_disk(self._room.full)
            if begins:
                self._follower.tell(self._room.notice(self._t()), on_line)

    def _t(self) -> float:
        """The run's time now, as its worker would tell it, whatever became of the wall clock since."""
        state = self.snapshot()
        return round(state.t + self.silent_seconds, 6) if state.started_at else 0.0

    def send(self, command: AnyCommand) -> None:
        """Appends to commands.jsonl."""
        append_command(self._folder.commands, command)


class WatchedRun(FollowedRun):
    """What a session shares that looks at a worker from outside: it notices when nothing happens any more."""

    def __init__(self, folder: RunFolder, budgets: StallBudgets | None) -> None:
        super().__init__(folder)
        self._watch = StallWatch(budgets)
        self._looked = time.monotonic()
        self._state_due = 0.0

    def _take_in(self, on_line: OnLine | None, now: float, *, seconds: float = inf) -> bool:
        """Reads what is new, for about so long; whether all of it was read.

        `now`: on the monotonic clock, from before this look. What passed since the one before is no stall of the worker
        where this session was itself held up, as by a stop of both.
        """
        self._watch.excuse(now - self._looked - HELD_UP_SECONDS)
        self._looked = now

        def observed(line: bytes, event: e.AnyEvent) -> None:
            self._watch.observe(event, now)
            self._observe(event)
            if on_line is not None:
                on_line(line, event)

        whole = self._follower.read(observed, seconds=seconds)
        if self._follower.whereabouts.changed() and self._lost:
            self._follower.tell(self._moved(), on_line)
        return whole

    def _moved(self) -> e.Notice:
        folder, now = self._folder.path, self._follower.whereabouts.folder
        text, hint = f"the run's folder {folder} was moved", "Move it back."
        if now != folder:
            return e.Notice(
                t=self._t(), level="error", text=f"{text} to {now}: what the run does is not seen from here",
                hint=f"Look at it there: {shell_line('speedtui', 'attach', str(now))}",
            )  # fmt: skip
        text = f"{text} or removed: what the run does is not seen from here"
        return e.Notice(t=self._t(), level="error", text=text, hint=hint)

    @property
    def _lost(self) -> bool:
        """Whether the log that was followed is gone from its place."""
        return not self._follower.whereabouts.here

    def _observe(self, event: e.AnyEvent) -> None:
        """For what a kind of session wants to know besides."""

    def _tell_stall(self, on_line: OnLine | None, now: float) -> None:
        """Has the stacks written and tells of it, once a stall however many sessions look on."""
        if self._suspended(now):
            self._tell_suspension(on_line, now)
        if self._watch.stall(now) is None:
            return
        with suppress(OSError), hold_lock(self._folder.stall_lock):
            self._take_in(on_line, now)  # another session may have told it, or it is over
            stall = self._watch.stall(now)
            if stall is None:
                return
            self._watch.told()
            ask_for_stacks(self._folder, self.snapshot())
            self._append(
                e.Stalled(t=self._t(), phase=stall.phase, seconds=stall.seconds, budget_seconds=stall.budget_seconds)
            )

    def _suspended(self, now: float) -> bool:
        """Whether the silent worker is stopped and not at work; looked at once a second."""
        if self.silent_seconds < SILENT_SECONDS or self._watch.suspended or now < self._state_due:
            return False
        self._state_due = now + 1.0
        return is_stopped(self._folder, self.snapshot())

    def _tell_suspension(self, on_line: OnLine | None, now: float) -> None:
        """Once a suspension, however many sessions look on; at the run's last moment, since its time stands still."""
        with suppress(OSError), hold_lock(self._folder.stall_lock):
            self._take_in(on_line, now)
            state = self.snapshot()
            if state.suspended is None and state.pid is not None and is_stopped(self._folder, state):
                self._append(e.WorkerSuspended(t=state.t, pid=state.pid))

    def _append(self, event: e.AnyEvent) -> None:
        """Into the log, in the worker's place."""
        append_event(self._folder.events, event)
