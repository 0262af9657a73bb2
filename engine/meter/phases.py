"""The run's phase clock: every nanosecond belongs to exactly one phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from speedtui.engine.events import PHASES, STEP_PHASES, Books
from speedtui.engine.log.clock import WORKING

INDEX = {name: index for index, name in enumerate(PHASES)}
OTHER = INDEX["other"]
STEP_INDEXES = tuple(INDEX[name] for name in STEP_PHASES)


PEEK_TRIES = 1000
"""Looks at a clock that another thread moves on; it writes a boundary in a microsecond, so that two will do."""


class PhaseClock:
    """Adds the time since the last boundary to the phase that was current, then changes phase.

    Owned by the thread that runs the job; a boundary costs one clock reading and two list accesses.
    """

    def __init__(
        self, t: float = 0.0, earlier: Books | None = None, now_ns: Callable[[], int] = WORKING.now_ns
    ) -> None:
        """`t`: seconds since the run started; `earlier`: its books as an earlier worker left them; `now_ns`: the clock.

        What is not in those was nobody's: `away`. Without them it was the start of this process, which is `load`.
        """
        self.now_ns = now_ns
        """Nanoseconds in which the process could work; what every boundary is read from."""
        self._last_ns = now_ns()
        self._current = OTHER
        self.totals_ns = [0] * len(PHASES)
        """Nanoseconds by index of PHASES, up to the last boundary."""
        self.device_seconds: dict[str, float] = {}
        """By phase on the device's clock; the pump thread's."""
        if earlier is not None:
            for name, seconds in earlier.phases.items():
                self.totals_ns[INDEX.get(name, OTHER)] += round(seconds * 1e9)
            self.device_seconds = dict(earlier.device_phases or {})
        known = sum(self.totals_ns)
        wall = max(round(t * 1e9), known)  # books that were closed a moment after the last event know better
        self.totals_ns[INDEX["load" if earlier is None else "away"]] += wall - known
        self._started_ns = self._last_ns - wall

    def switch(self, phase: int) -> int:
        """Ends the current phase and begins `phase` (an index of PHASES); returns the one that ended."""
        now = self.now_ns()
        ended = self._current
        self.totals_ns[ended] += now - self._last_ns
        self._current = phase
        self._last_ns = now  # last of all: see `peek`
        return ended

    def switch_to(self, name: str) -> None:
        """`switch` by name, for boundaries that are no hot path."""
        self.switch(INDEX[name])

    @property
    def boundary_ns(self) -> int:
        """That clock at the last boundary."""
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

    def seconds(self, name: str) -> float:
        """Of one phase so far; by the thread that owns the clock."""
        self.switch(self._current)
        return self.totals_ns[INDEX[name]] / 1e9

    def peek(self) -> Books:
        """The same from another thread: the current phase counts up to now.

        The totals add up to the last boundary, save while the owner is writing one; then it looks again.
        """
        for _ in range(PEEK_TRIES):
            last, current, totals = self._last_ns, self._current, list(self.totals_ns)
            if sum(totals) == last - self._started_ns:
                break
        now = self.now_ns()
        totals[current] += now - last
        return self._books(totals, now)

    def _books(self, totals_ns: list[int], now_ns: int) -> Books:
        wall_ns = now_ns - self._started_ns
        on_device = dict(self.device_seconds)  # a copy at once: the pump thread may be adding to it
        return Books(
            wall=_seconds(wall_ns),
            phases={name: _seconds(ns) for name, ns in zip(PHASES, totals_ns, strict=True) if ns},
            unaccounted=_seconds(wall_ns - sum(totals_ns)),
            device_phases={name: round(value, 6) for name, value in on_device.items()} or None,
        )


def _seconds(nanoseconds: int) -> float:
    """To the nanosecond: rounded further, eighteen phases would not add up to the microsecond."""
    return round(nanoseconds / 1e9, 9)
