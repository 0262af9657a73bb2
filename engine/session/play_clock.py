"""The time of a recording that is played: it runs at any speed, holds and jumps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class PlayClock:
    """Seconds on the run's clock; for any thread."""

    def __init__(self, speed: float, end: float, now: Callable[[], float] = time.monotonic) -> None:
        """`speed`: times the pace it went, above 0; `end`: where it stands still; `now`: a clock in seconds."""
        self._speed, self._end, self._now = speed, end, now
        self._t = 0.0
        self._since = now()
        self._paused = False
        self._lock = threading.Lock()

    @property
    def speed(self) -> float:
        """Times the pace it went."""
        return self._speed

    @property
    def paused(self) -> bool:
        """Whether it holds."""
        return self._paused

    def t(self) -> float:
        """The moment shown now."""
        with self._lock:
            return self._at(self._now())

    def jump(self, t: float) -> None:
        """To another moment."""
        with self._lock:
            self._t, self._since = t, self._now()

    def hold(self, paused: bool) -> None:
        """Stands still, or goes on."""
        with self._lock:
            self._settle()
            self._paused = paused

    def set_speed(self, speed: float) -> None:
        """From now on; above 0."""
        with self._lock:
            self._settle()
            self._speed = speed

    def _at(self, now: float) -> float:
        return self._t if self._paused else min(self._end, self._t + (now - self._since) * self._speed)

    def _settle(self) -> None:
        now = self._now()
        self._t, self._since = self._at(now), now
