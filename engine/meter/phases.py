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

    def __init__(self, t: float = 0.0, earlier: Books | None = None) -> None:
        """`t`: seconds since the run started; `earlier`: its books as an earlier worker left them.

        What is not in those was nobody's: `away`. Without them it was the start of this process, which is `load`.
        """
        self._last_ns = time.perf_counter_ns()
        self._started_ns = self._last_ns - int(t * 1e9)
        self._current = OTHER
        self.totals_ns = [0] * len(PHASES)
        """Nanoseconds by index of PHASES, up to the last boundary."""
        self.device_seconds: dict[str, float] = {}
        """By phase on the device's clock; the pump thread's."""
        if earlier is not None:
            for name, seconds in earlier.phases.items():
                self.totals_ns[INDEX.get(name, OTHER)] += int(seconds * 1e9)
            self.device_seconds = dict(earlier.device_phases or {})
        missing = self._last_ns - self._started_ns - sum(self.totals_ns)
        self.totals_ns[INDEX["load" if earlier is None else "away"]] += max(missing, 0)

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
        """Whole-run totals in seconds, closed now; by the thread that owns the clock."""
        self.switch(self._current)
        return self._books(list(self.totals_ns), self._last_ns)

    def peek(self) -> Books:
        """The same from another thread: the current phase counts up to now."""
        while True:
            last, current, totals = self._last_ns, self._current, list(self.totals_ns)
            if last == self._last_ns:  # else a boundary came in between
                break
        now = time.perf_counter_ns()
        totals[current] += now - last
        return self._books(totals, now)

    def _books(self, totals_ns: list[int], now_ns: int) -> Books:
        wall_ns = now_ns - self._started_ns
        return Books(
            wall=round(wall_ns / 1e9, 6),
            phases={name: round(ns / 1e9, 6) for name, ns in zip(PHASES, totals_ns, strict=True) if ns},
            unaccounted=round((wall_ns - sum(totals_ns)) / 1e9, 6),
            device_phases={name: round(value, 6) for name, value in self.device_seconds.items()} or None,
        )
