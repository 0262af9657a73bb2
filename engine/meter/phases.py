"""The run's phase clock: every nanosecond belongs to exactly one phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from speedtui.engine.events import PHASES, STEP_PHASES, Books

INDEX = {name: index for index, name in enumerate(PHASES)}
OTHER = INDEX["other"]
STEP_INDEXES = tuple(INDEX[name] for name in STEP_PHASES)


class PhaseClock:
    """Adds the time since the last boundary to the phase that was current, then changes phase.

    Owned by the thread that runs the job; a boundary costs one clock reading and two list accesses.
    """

    def __init__(self) -> None:
        self._started_ns = time.perf_counter_ns()
        self._last_ns = self._started_ns
        self._current = OTHER
        self.totals_ns = [0] * len(PHASES)
        """Nanoseconds by index of PHASES, up to the last boundary."""

    def switch(self, phase: int) -> int:
        """Ends the current phase and begins `phase` (an index of PHASES); returns the one that ended."""
        now = time.perf_counter_ns()
        ended = self._current
        self.totals_ns[ended] += now - self._last_ns
        self._last_ns = now
        self._current = phase
        return ended

    def switch_to(self, name: str) -> None:
        """`switch` by name, for boundaries that are no hot path."""
        self.switch(INDEX[name])

    @property
    def boundary_ns(self) -> int:
        """`perf_counter_ns` at the last boundary."""
        return self._last_ns

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase for the length of a block; the one around it goes on afterwards."""
        before = self.switch(INDEX[name])
        try:
            yield
        finally:
            self.switch(before)

    def books(self) -> Books:
        """Whole-run totals in seconds, closed now."""
        self.switch(self._current)
        wall_ns = self._last_ns - self._started_ns
        phases = {name: round(ns / 1e9, 6) for name, ns in zip(PHASES, self.totals_ns, strict=True) if ns}
        return Books(
            wall=round(wall_ns / 1e9, 6),
            phases=phases,
            unaccounted=round((wall_ns - sum(self.totals_ns)) / 1e9, 6),
        )
