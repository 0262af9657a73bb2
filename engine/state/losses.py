"""The training loss at the start and at the end."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterable

LOSS_LINES = 10
"""First and last lines about steps whose mean loss is reported; fewer where they would overlap."""

StepLoss = tuple[int, float]
"""(step, loss)"""


class Losses:
    """Keeps the first and the last few, over all the workers of a training."""

    def __init__(self, first: Iterable[StepLoss] = (), last: Iterable[StepLoss] = ()) -> None:
        """`first`, `last`: as `ends` gave them for the workers before."""
        self._first = list(first)
        self._last: deque[StepLoss] = deque(last, maxlen=LOSS_LINES)

    def add(self, step: int, loss: float) -> None:
        """Of a line."""
        if len(self._first) < 2 * LOSS_LINES:
            self._first.append((step, loss))
        self._last.append((step, loss))

    def rewind(self, step: int) -> None:
        """The training goes on after this step: what came of later ones is made again."""
        self._first = [line for line in self._first if line[0] <= step]
        self._last = deque((line for line in self._last if line[0] <= step), maxlen=LOSS_LINES)

    @property
    def ends(self) -> tuple[tuple[StepLoss, ...], tuple[StepLoss, ...]]:
        """(the first lines, the last lines), for another worker to go on with."""
        return tuple(self._first), tuple(self._last)

    def means(self) -> tuple[float | None, float | None]:
        """(of the first, of the last) lines; None where there are not two to compare."""
        count = min(LOSS_LINES, len(self._first) // 2)
        if not count:
            return None, None
        last = list(self._last)[-count:] or self._first[-count:]
        return _mean(self._first[:count]), _mean(last)


def _mean(lines: list[StepLoss]) -> float:
    return round(statistics.fmean(loss for _, loss in lines), 6)
