"""The wall clock beside the run's own time, as the log tells it."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

from speedtui.engine.events import AnyEvent, ClockMoved, RunStarted

MOVES = 256
"""Kept of the moves, the newest; a clock that is set more often has no time of day to be told afterwards."""


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """How far the wall clock has moved away from the run's time, which stands still while nothing can be worked at."""

    ts: tuple[float, ...] = ()
    """Of the run's time, when it moved."""
    totals: tuple[float, ...] = ()
    """Seconds from each of those on."""
    slept_seconds: float = 0.0
    """In which the machine did."""
    suspended_seconds: float = 0.0
    """In which the worker's process was stopped."""

    @property
    def seconds(self) -> float:
        """All together."""
        return self.totals[-1] if self.totals else 0.0

    @property
    def idle_seconds(self) -> float:
        """In which nothing could be worked at, and which the run's time leaves out."""
        return self.slept_seconds + self.suspended_seconds

    def at(self, t: float) -> float:
        """Those before `t`."""
        index = bisect_right(self.ts, t)
        return self.totals[index - 1] if index else 0.0

    def plus(self, event: ClockMoved) -> Moves:
        """With one more."""
        ts, totals = (*self.ts, event.t)[-MOVES:], (*self.totals, self.seconds + event.seconds)[-MOVES:]
        slept = self.slept_seconds + (event.seconds if event.cause == "slept" else 0.0)
        suspended = self.suspended_seconds + (event.seconds if event.cause == "suspended" else 0.0)
        return Moves(ts=ts, totals=totals, slept_seconds=slept, suspended_seconds=suspended)


class WallFollower:
    """What the wall clock shows, by events that come one by one."""

    def __init__(self, zero: float = 0.0) -> None:
        """`zero`: what it shows at t = 0, seconds since the epoch, until a run's start is heard of."""
        self._zero, self._moved = zero, 0.0

    def see(self, event: AnyEvent) -> None:
        """Takes in one event of any kind, in the log's order."""
        if isinstance(event, RunStarted):
            self._zero = event.started_at
        elif isinstance(event, ClockMoved):
            self._moved += event.seconds

    def at(self, t: float) -> float:
        """At the run's time `t`."""
        return self._zero + self._moved + t
