"""A run's seconds, and the wall clock beside them: the one place where one is made into the other.

A run's time passes while its worker can work. It is CLOCK_MONOTONIC, which stands still while the machine sleeps
(CLOCK_BOOTTIME goes on), less the stretches in which the process was stopped: a night with a closed lid, or under
SIGSTOP, is neither training time nor a slow step. (A container that is paused gets no SIGCONT: its pause counts.) A
deadline is an instant of the wall clock, which people set and sleep moves. What has come between the two is in the log,
as `ClockMoved`, whenever it has become another second.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from speedtui.engine.events import ClockMoved, MoveCause

HELD_UP_NS = 500_000_000
"""Between two readings of a clock that is read twenty times a second: nothing of the process has run."""
TOLD_SECONDS = 1.0
"""What the log says of the wall clock is never wrong by more; a machine's own clock drifts so far in hours."""
READING_SECONDS = 0.1
"""A wall clock that took longer to be read says nothing of the moment."""


def was_continued() -> bool:
    """Whether SIGCONT has come since this was asked last, where the process blocks it (`worker.py`).

    A blocked signal lets a stopped process go on like any other, and is pending before any of its threads does.
    """
    if signal.SIGCONT not in signal.sigpending():
        return False
    signal.sigwait({signal.SIGCONT})
    return True


class WorkingClock:
    """Nanoseconds in which this process could work; for any thread, never backwards in one of them."""

    def __init__(
        self, monotonic_ns: Callable[[], int] = time.perf_counter_ns, continued: Callable[[], bool] = was_continued
    ) -> None:
        """`monotonic_ns`: CLOCK_MONOTONIC; `continued`: whether the process was let go on since this was asked last."""
        self._monotonic_ns = monotonic_ns
        self._continued = continued
        self._last_ns = monotonic_ns()
        self._reading = threading.RLock()  # again by a signal's handler in the middle of a reading
        self.stopped_ns = 0
        """In which the process was stopped."""

    def now_ns(self) -> int:
        """Read for every phase of every step, and so without the lock where nothing was held up."""
        while True:
            stopped = self.stopped_ns
            now = self._monotonic_ns()
            if now - self._last_ns > HELD_UP_NS:
                return self._after_hold_up()
            if stopped == self.stopped_ns:  # else a stretch that was stopped ended between the two
                self._last_ns = now
                return now - stopped

    def _after_hold_up(self) -> int:
        with self._reading:
            now = self._monotonic_ns()
            held_up = now - self._last_ns
            if held_up > HELD_UP_NS and self._continued():
                self.stopped_ns += held_up
            self._last_ns = now
            return now - self.stopped_ns

    def settle(self) -> None:
        """Takes a stretch that has just ended out of the time, where the process was stopped in it; to be called often,
        so that a SIGCONT that ended none is not taken for the end of a later one."""
        with self._reading:
            continued = self._continued()
            now = self._monotonic_ns()
            held_up = now - self._last_ns
            if held_up > HELD_UP_NS and (continued or self._continued()):  # it may have ended after the first question
                self.stopped_ns += held_up
            self._last_ns = now

    def let_go(self) -> None:
        """In a forked child, whose parent may have been in the middle of a reading."""
        self._reading = threading.RLock()


WORKING = WorkingClock()
"""Of this process."""
os.register_at_fork(after_in_child=WORKING.let_go)


def working_seconds() -> float:
    """In place of `time.perf_counter`, for what is told of a run."""
    return WORKING.now_ns() / 1e9


def asleep_seconds() -> float:
    """In which the machine slept, since it was started; only differences mean anything, and none is known off Linux."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if boot is None else time.clock_gettime(boot) - time.clock_gettime(time.CLOCK_MONOTONIC)


class RunClock:
    """Seconds since the run started, across restarts of its worker; a later worker goes on where the wall clock says,
    never backwards."""

    def __init__(
        self, started_at: float | None = None, last_t: float = 0.0, moved: float = 0.0, *,
        working: WorkingClock = WORKING, now_ns: Callable[[], int] | None = None,
        wall: Callable[[], float] = time.time, asleep: Callable[[], float] = asleep_seconds,
    ) -> None:  # fmt: skip
        """`started_at`: wall clock of t = 0, None for now; `last_t`: of the last event in the log; `moved`: by how much
        the wall clock was ahead of the run's time then; `working`: of the process; `now_ns`: in its place; `wall`:
        seconds since the epoch; `asleep`: seconds in which the machine slept.
        """
        now = wall()
        self.started_at = now if started_at is None else started_at
        self.moved = moved
        """Seconds by which the wall clock is ahead of `started_at` and the run's time, as the log has it."""
        self._working, self._wall, self._asleep = working, wall, asleep
        self._now_ns = working.now_ns if now_ns is None else now_ns
        self._known = self._idle()
        self._origin_ns = self._now_ns() - int(max(now - self.started_at - moved, last_t) * 1e9)

    def now(self) -> float:
        """Seconds since the run started, to the microsecond."""
        return self.at(self._now_ns())

    def at(self, working_ns: int) -> float:
        """The same for a reading of that clock."""
        return round((working_ns - self._origin_ns) / 1e9, 6)

    def wall(self, t: float) -> float:
        """What the wall clock shows, or will, at the run's time `t`, as it goes now; seconds since the epoch."""
        return self.started_at + t + self.moved

    def look(self) -> list[ClockMoved]:
        """How the wall clock has moved against the run's time since it was told last; to be called often, by one
        thread at a time."""
        self._working.settle()
        before = self._idle()
        began, wall, ended = self.now(), self._wall(), self.now()
        asleep, stopped = self._idle()
        if max(ended - began, asleep - before[0], stopped - before[1]) > READING_SECONDS:
            return []  # something came between: the next look tells
        slept, suspended = asleep - self._known[0], stopped - self._known[1]
        parts: dict[MoveCause, float] = {
            "slept": slept, "suspended": suspended, "set": wall - self.wall(ended) - slept - suspended,
        }  # fmt: skip
        told = {cause: seconds for cause, seconds in parts.items() if abs(seconds) >= TOLD_SECONDS}
        slept_before, stopped_before = self._known
        self._known = (asleep if "slept" in told else slept_before, stopped if "suspended" in told else stopped_before)
        self.moved += sum(told.values())
        return [ClockMoved(t=ended, seconds=round(seconds, 3), cause=cause) for cause, seconds in told.items()]

    def _idle(self) -> tuple[float, float]:
        """Seconds in which the machine slept, and in which the process was stopped."""
        return self._asleep(), self._working.stopped_ns / 1e9
