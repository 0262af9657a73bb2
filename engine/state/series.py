"""Series of bounded size over a whole run: when full, neighbouring points are merged."""

from __future__ import annotations

Point = tuple[float, float]
"""(x, mean y)"""


class GrowingSeries:
    """At most `capacity` points however long the run; each is the mean of an equal number of values.

    Only the last point changes as values come in, so a chart over it redraws one column.
    """

    def __init__(self, capacity: int = 512) -> None:
        self._capacity = capacity
        self._width = 1
        self._points: list[Point] = []
        self._pending: list[Point] = []

    def add(self, x: float, y: float) -> None:
        """Appends a value; x only grows."""
        self._pending.append((x, y))
        if len(self._pending) < self._width:
            return
        self._points.append(_mean(self._pending))
        self._pending.clear()
        if len(self._points) >= self._capacity:
            self._points = [_mean(self._points[i : i + 2]) for i in range(0, len(self._points), 2)]
            self._width *= 2

    def points(self) -> tuple[Point, ...]:
        """The points so far, the unfinished one included."""
        return (*self._points, _mean(self._pending)) if self._pending else tuple(self._points)


def _mean(points: list[Point]) -> Point:
    return points[-1][0], sum(y for _, y in points) / len(points)
