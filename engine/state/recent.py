"""What a quantity was over the last ten minutes and the last one, of bounded size however often it is told."""

from __future__ import annotations

from speedtui.engine.state.series import RecentSeries
from speedtui.engine.state.windows import Recent

TEN_MINUTES, MINUTE = 600.0, 60.0
"""Seconds that charts over time can show besides the whole run."""
BUCKETS = 120
"""Stretches in each: more than a chart of 60 columns has dots side by side."""


class RecentFold:
    """Keeps both at once, since a person may look at either."""

    def __init__(self, buckets: int = BUCKETS) -> None:
        self._ten_minutes = RecentSeries(TEN_MINUTES, buckets)
        self._minute = RecentSeries(MINUTE, buckets)

    def add(self, t: float, value: float) -> None:
        """Takes in a value of `t` on the run's clock."""
        self._ten_minutes.add(t, value)
        self._minute.add(t, value)

    def snapshot(self, t: float) -> Recent:
        """Both up to `t`."""
        return Recent(ten_minutes=self._ten_minutes.course(t), minute=self._minute.course(t))
