"""Seconds since the run started, across restarts of its worker."""

from __future__ import annotations

import time
from collections.abc import Callable


class RunClock:
    """Monotonic within a worker; a later worker goes on where the wall clock says, never backwards."""

    def __init__(
        self, started_at: float | None = None, last_t: float = 0.0, now_ns: Callable[[], int] = time.perf_counter_ns
    ) -> None:
        """`started_at`: wall clock of t = 0, None for now; `last_t`: of the last event in the log; `now_ns`: monotonic
        nanoseconds."""
        now = time.time()
        self.started_at = now if started_at is None else started_at
        self._now_ns = now_ns
        self._origin_ns = now_ns() - int(max(now - self.started_at, last_t) * 1e9)

    def now(self) -> float:
        """Seconds since the run started, to the microsecond."""
        return self.at(self._now_ns())

    def at(self, perf_counter_ns: int) -> float:
        """The same for a reading of that clock."""
        return round((perf_counter_ns - self._origin_ns) / 1e9, 6)
