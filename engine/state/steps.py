"""The window of recent steps: medians, rates and phase shares."""

from __future__ import annotations

import statistics
from collections import deque

from speedtui.engine.events import StepCompleted
from speedtui.engine.state.windows import StepWindow

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
        peak_allocated_bytes=_highest([line.peak_allocated_bytes for line in lines]),
        peak_reserved_bytes=_highest([line.peak_reserved_bytes for line in lines]),
        on_device_clock=on_device,
    )


def _total(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) and known else None


def _highest(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
