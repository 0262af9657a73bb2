"""The training loss at the start and at the end."""

from __future__ import annotations

import statistics
from collections import deque

LOSS_LINES = 10
"""First and last lines about steps whose mean loss is reported; fewer where they would overlap."""


class Losses:
    """Keeps the first and the last few."""

    def __init__(self) -> None:
        self._seen = 0
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=LOSS_LINES)

    def add(self, loss: float) -> None:
        """Of a line."""
        self._seen += 1
        if len(self._first) < LOSS_LINES:
            self._first.append(loss)
        self._last.append(loss)

    def means(self) -> tuple[float | None, float | None]:
        """(of the first, of the last) lines; None where there are not two to compare."""
        count = min(LOSS_LINES, self._seen // 2)
        if not count:
            return None, None
        return round(statistics.fmean(self._first[:count]), 6), round(statistics.fmean(list(self._last)[-count:]), 6)
