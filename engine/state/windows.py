"""The recent past of one quantity and of the steps, kept and as snapshots hold it, and exact totals."""

from __future__ import annotations

import statistics
from collections import deque

import msgspec

from speedtui.engine.events import StepCompleted
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


WINDOW = 50
"""Steps: enough for a stable median, few enough to follow a change within a minute of a slow run."""
MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""


class RecentSteps:
    """Keeps the last steps and summarizes them on demand."""

    def __init__(self) -> None:
        self._lines: deque[StepCompleted] = deque(maxlen=WINDOW)
        self._summary: StepWindow | None = StepWindow()

    def add(self, step: StepCompleted) -> None:
        """Takes in one line; a coalesced one counts with its mean."""
        self._lines.append(step)
        self._summary = None

    def summary(self) -> StepWindow:
        """The window as it stands; computed once between additions."""
        if self._summary is None:
            self._summary = _summarize(list(self._lines))
        return self._summary


def _summarize(lines: list[StepCompleted]) -> StepWindow:
    step_seconds = [line.seconds / line.steps for line in lines]
    total_seconds = sum(line.seconds for line in lines)
    steps = sum(line.steps for line in lines)
    tokens = _total([line.tokens for line in lines])
    padding = _total([line.padding_tokens for line in lines])
    median = statistics.median(step_seconds)
    on_device = all(line.device_phases is not None for line in lines)
    by_step = [
        {name: value / line.steps for name, value in (line.device_phases or line.phases).items()}
        if on_device
        else {name: value / line.steps for name, value in line.phases.items()}
        for line in lines
    ]
    names = list(dict.fromkeys(name for phases in by_step for name in phases))
    columns = {name: sorted(phases.get(name, 0.0) for phases in by_step) for name in names}
    return StepWindow(
        count=min(steps, WINDOW) if steps > len(lines) else len(lines),
        seconds=median,
        micro_steps=sum(line.micro_steps for line in lines) / steps,
        spread_seconds=MAD_TO_SIGMA * statistics.median(abs(s - median) for s in step_seconds),
        tokens_per_second=tokens / total_seconds if tokens is not None and total_seconds else None,
        samples_per_second=sum(line.samples for line in lines) / total_seconds if total_seconds else None,
        padding_fraction=padding / (tokens + padding) if tokens and padding is not None else None,
        phases={name: sum(values) / len(values) for name, values in columns.items()},
        phases_p50={name: statistics.median(values) for name, values in columns.items()},
        phases_p95={name: values[min(len(values) - 1, int(0.95 * len(values)))] for name, values in columns.items()},
        phases_last=by_step[-1],
        recent_seconds=tuple(step_seconds),
        peak_allocated_bytes=highest([line.peak_allocated_bytes for line in lines]),
        peak_reserved_bytes=highest([line.peak_reserved_bytes for line in lines]),
        on_device_clock=on_device,
    )


def _total(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) and known else None


def highest(values: list[int | None]) -> int | None:
    """Of those that are known; None where none is."""
    return max((value for value in values if value is not None), default=None)
