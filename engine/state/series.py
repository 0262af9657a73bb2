"""Series of bounded size: over a whole run, where points are merged or every second item is left out, over the last
minutes of it, or its first and last losses."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

SeriesPoint = tuple[float, float]
"""(x, mean y)"""
T = TypeVar("T")


class GrowingSeries:
    """At most `capacity` points however long the run; each is the mean of an equal number of values.

    Only the last point changes as values come in, so a chart over it redraws one column.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._width = 1
        self._points: list[SeriesPoint] = []
        self._last_x = 0.0
        self._sum = 0.0
        self._count = 0

    def add(self, x: float, y: float) -> None:
        """Appends a value; x only grows, but for `rewind`."""
        self._last_x = x
        self._sum += y
        self._count += 1
        if self._count < self._width:
            return
        self._points.append((x, self._sum / self._count))
        self._sum, self._count = 0.0, 0
        if len(self._points) >= self._capacity:
            self._points = [_mean(self._points[i : i + 2]) for i in range(0, len(self._points), 2)]
            self._width *= 2

    def rewind(self, x: float) -> None:
        """Drops what lies beyond `x`; a point made of values on both sides of it goes, too."""
        while self._points and self._points[-1][0] > x:
            self._points.pop()
        if self._last_x > x:
            self._sum, self._count = 0.0, 0

    def points(self) -> tuple[SeriesPoint, ...]:
        """The points so far, the unfinished one included."""
        return (*self._points, (self._last_x, self._sum / self._count)) if self._count else tuple(self._points)


class BucketMeans(msgspec.Struct, frozen=True, kw_only=True):
    """Means over stretches of equal length, oldest first."""

    end: float = 0.0
    """Of the last stretch, which may not be over, in seconds on the run's clock."""
    bucket_seconds: float = 1.0
    """Of one stretch."""
    values: tuple[float | None, ...] = ()
    """None where nothing came in a stretch."""

    @property
    def seconds(self) -> float:
        """From the first stretch to the end."""
        return self.bucket_seconds * len(self.values)

    def points(self) -> tuple[SeriesPoint, ...]:
        """(middle of the stretch on the run's clock, mean), where there is one."""
        start = self.end - self.seconds
        return tuple(
            (start + (i + 0.5) * self.bucket_seconds, value) for i, value in enumerate(self.values) if value is not None
        )


class RecentSeries:
    """The last so many seconds as means over stretches of equal length, which end at round times: a chart over it
    stays as it is until the next stretch begins."""

    def __init__(self, seconds: float, buckets: int) -> None:
        self._width = seconds / buckets
        self._count = buckets
        self._kept: deque[list[float]] = deque(maxlen=buckets)
        """[number of the stretch, sum, count]; changed in place, since most values of a step go into the last one."""

    def add(self, t: float, value: float) -> None:
        """Appends a value; what comes late counts with the last stretch."""
        number = int(t / self._width)
        if self._kept:
            last = self._kept[-1]
            if last[0] >= number:
                last[1] += value
                last[2] += 1
                return
        self._kept.append([number, value, 1])

    def course(self, t: float) -> BucketMeans:
        """Up to now; from the first value on where that is less long ago."""
        last = max(int(t / self._width), int(self._kept[-1][0]) if self._kept else 0)
        first = max(last - self._count + 1, min(int(self._kept[0][0]), last) if self._kept else last)
        means = {int(number): total / count for number, total, count in self._kept if number >= first}
        whole = len(means) == last - first + 1  # nothing is missing, which is nearly always so
        values = tuple(means.values()) if whole else tuple(map(means.get, range(first, last + 1)))
        return BucketMeans(end=(last + 1) * self._width, bucket_seconds=self._width, values=values)


def _mean(points: list[SeriesPoint]) -> SeriesPoint:
    return points[-1][0], sum(y for _, y in points) / len(points)


class ThinnedList(Generic[T]):
    """At most `capacity` items evenly spread over all that were added, and always the last one."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._stride = 1
        self._count = 0
        self._kept: list[T] = []
        self._last: T | None = None

    def add(self, item: T) -> None:
        """Appends an item; when full, every second one goes."""
        if self._count % self._stride == 0:
            self._kept.append(item)
        self._count += 1
        self._last = item
        if len(self._kept) >= self._capacity:
            self._kept = self._kept[::2]
            self._stride *= 2

    def keep(self, wanted: Callable[[T], bool]) -> None:
        """Drops the items that are not wanted any more."""
        self._kept = [item for item in self._kept if wanted(item)]
        if self._last is not None and not wanted(self._last):
            self._last = self._kept[-1] if self._kept else None

    def items(self) -> tuple[T, ...]:
        """Those that are kept, the oldest first."""
        if self._last is None or (self._kept and self._kept[-1] is self._last):
            return tuple(self._kept)
        return (*self._kept, self._last)


FENCE = 3.0
"""Interquartile ranges from the quartiles, beyond which a value is far out (Tukey, Exploratory Data Analysis, 1977)."""
FLATTENED = 3.0
"""Times as high as without them, from which a chart of all values takes too much from those that are not far out."""
FEW = 0.02
"""Share of the values that may be left outside: more of them are no spike but the course of it."""
ENOUGH = 10
"""Values from which on some can be called far out."""


def without_spikes(values: Sequence[float]) -> list[float]:
    """All values, unless a few that are far out would flatten the others: then without those."""
    if len(values) < ENOUGH:
        return list(values)
    first, _, third = statistics.quantiles(values, n=4)
    reach = FENCE * (third - first)
    kept = [value for value in values if first - reach <= value <= third + reach]
    inside = max(kept) - min(kept)
    flattens = max(values) - min(values) > FLATTENED * inside
    few = len(values) - len(kept) <= max(1, FEW * len(values))
    return kept if flattens and few and inside > 0 else list(values)


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
        return _mean_loss(self._first[:count]), _mean_loss(last)


def _mean_loss(lines: list[StepLoss]) -> float:
    return round(statistics.fmean(loss for _, loss in lines), 6)
