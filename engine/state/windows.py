"""The recent past of one quantity and of the steps, and exact totals, as snapshots hold them."""

from __future__ import annotations

import msgspec

from speedtui.engine.state.series import BucketMeans, RecentSeries


class Recent(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity over the last minutes."""

    ten_minutes: BucketMeans = BucketMeans()
    minute: BucketMeans = BucketMeans()


class StepWindow(msgspec.Struct, frozen=True, kw_only=True):
    """The recent steps of a training or a probe."""

    count: int = 0
    """Steps it covers, at most 50."""
    seconds: float | None = None
    """Median step time."""
    micro_steps: float | None = None
    """Micro-steps a step; a probe makes fewer than the training."""
    spread_seconds: float | None = None
    """1.4826 x median absolute deviation."""
    tokens_per_second: float | None = None
    samples_per_second: float | None = None
    padding_fraction: float | None = None
    phases: dict[str, float] = {}
    """Mean seconds a step by phase."""
    phases_p50: dict[str, float] = {}
    phases_p95: dict[str, float] = {}
    phases_last: dict[str, float] = {}
    recent_seconds: tuple[float, ...] = ()
    """Step times, oldest first."""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    on_device_clock: bool = False
    """The phases are device time rather than launch time."""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How often something happened and how long it took: exact however long a run is, where a list of it is thinned."""

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
