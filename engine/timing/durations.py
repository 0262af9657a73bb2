"""How long something took that happens now and then: an evaluation, a checkpoint."""

from __future__ import annotations

import math
import statistics
from collections import deque

from speedtui.engine.schedule.costs import GUESS_SPREAD

RECENT = 5
"""Of which the next one is expected: what is generated, and so how long it takes, changes as the model learns."""
ONE_SPREAD = 0.1
"""Relative standard deviation where only one was measured."""


class Durations:
    """Seconds of the last few, and a guess until there are any.

    One thread adds, any thread asks: what is asked for is one read of a bounded deque.
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._guess: float | None = None
        self._stays = self._count = 0
        self.longest = 0.0
        """Of all."""

    def add(self, seconds: float) -> None:
        """One was measured."""
        self._count += 1
        self._recent.append(seconds)
        self.longest = max(self.longest, seconds)

    def guess(self, seconds: float, *, stays: int = 0) -> None:
        """What one is expected to take, until it is measured.

        `stays`: how many first ones are not yet what later ones will be, as the answers of a model that has learned
        little are not; the guess counts for those of them that are missing.
        """
        self._guess, self._stays = seconds, stays

    @property
    def measured(self) -> bool:
        """Whether there was one."""
        return bool(self._recent)

    @property
    def expected(self) -> float | None:
        """Seconds of the next one; None where nothing is known."""
        window = self._window()
        return statistics.fmean(window) if window else self._guess

    @property
    def deviation(self) -> float:
        """Standard deviation of one, in seconds."""
        window, measured = self._window(), len(self._recent)
        if measured > 1:
            return statistics.stdev(window)
        spread = (ONE_SPREAD if measured else GUESS_SPREAD) * (self.expected or 0.0)
        return max(spread, statistics.stdev(window)) if len(window) > 1 else spread

    def deviation_of_sum(self, count: float) -> float:
        """Of `count` more: each has its own, and the mean that they are expected to have has its error."""
        return self.deviation * math.sqrt(count + count**2 / max(len(self._recent), 1))

    def _window(self) -> list[float]:
        """Those the next one is expected from: the recent ones, and the guess for those that are missing."""
        recent = list(self._recent)
        missing = self._stays - self._count
        return recent if self._guess is None or missing <= 0 else recent + [self._guess] * missing

    @property
    def upper(self) -> float | None:
        """Seconds that the next one hardly takes longer than; None where nothing is known.

        Two standard deviations over the mean, and no less than the longest so far.
        """
        expected = self.expected
        return None if expected is None else max(expected + 2 * self.deviation, self.longest)
