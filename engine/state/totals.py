"""Counts and seconds that stay exact however long a run is, where the list of what was counted is thinned."""

from __future__ import annotations

import msgspec


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened and how long it took, from the run's start on."""

    count: int = 0
    seconds: float = 0.0
    """All of them together."""
    largest_seconds: float = 0.0

    @property
    def mean_seconds(self) -> float | None:
        """Of one; None where there was none."""
        return self.seconds / self.count if self.count else None

    def plus(self, seconds: float, count: int = 1) -> Totals:
        """With `count` more that took `seconds` together."""
        return Totals(
            count=self.count + count,
            seconds=self.seconds + seconds,
            largest_seconds=max(self.largest_seconds, seconds / count),
        )
