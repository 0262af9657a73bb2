"""Steps as lines of the log: fast ones share one, and none says more than it is read for."""

from __future__ import annotations

import math
from collections.abc import Callable

from msgspec.structs import replace

from speedtui.engine.events import StepCompleted
from speedtui.engine.state.windows import highest

LINES_PER_SECOND = 20
"""At most, for a probe and for the start of a training, where each step is looked at."""
START_SECONDS = 60.0
"""What counts as the start of a training."""
LATER_LINES_PER_SECOND = 3
"""After that: more than the screen's two drawings a second. Twelve hours of the longest lines, those of a GPU, are then
some 50 MB, half of what a log may become."""
PHASE_DIGITS = 4
"""Of a line's seconds, in its phases: a thousandth of a step is less than two steps differ by."""
PEAK_LINES = 10
"""Peaks that have not changed are told again after so many lines: a reader's window of steps always has some."""

AllocatorPeaks = tuple[int | None, int | None, int | None]
"""(allocated bytes, reserved bytes, allocation retries)"""
NO_PEAKS: AllocatorPeaks = (None, None, None)


class StepLines:
    """Holds steps until a line is due. Used by one thread at a time, the pump's."""

    def __init__(self, emit: Callable[[StepCompleted], None], *, every_step_matters: bool) -> None:
        """`every_step_matters`: of a probe, whose lines never become fewer."""
        self._emit = emit
        self._held: list[StepCompleted] = []
        self._last_ns = -math.inf
        self._start_until_ns = math.inf if every_step_matters else None
        self._peaks = NO_PEAKS
        self._since_peaks = 0

    def add(self, step: StepCompleted, now_ns: int) -> None:
        """Takes in a step that ended at `now_ns`."""
        if self._start_until_ns is None:
            self._start_until_ns = now_ns + START_SECONDS * 1e9
        self._held.append(step)
        self.release(now_ns)

    def release(self, now_ns: int, *, urgent: bool = False) -> None:
        """Emits what is held as one line when one is due, or when it is urgent."""
        if self._held and (urgent or now_ns - self._last_ns >= self._period_ns(now_ns)):
            self._last_ns = now_ns
            line = coalesce(self._held)
            self._held = []
            self._emit(shortened(self._without_old_peaks(line)))

    def _period_ns(self, now_ns: int) -> float:
        starting = self._start_until_ns is None or now_ns < self._start_until_ns
        return 1e9 / (LINES_PER_SECOND if starting else LATER_LINES_PER_SECOND)

    def _without_old_peaks(self, line: StepCompleted) -> StepCompleted:
        """Peaks are told when they have changed, and now and then."""
        self._since_peaks += 1
        peaks = (line.peak_allocated_bytes, line.peak_reserved_bytes, line.alloc_retries)
        if peaks == NO_PEAKS:
            return line
        if peaks != self._peaks or self._since_peaks >= PEAK_LINES:
            self._peaks, self._since_peaks = peaks, 0
            return line
        return replace(line, peak_allocated_bytes=None, peak_reserved_bytes=None, alloc_retries=None)


def coalesce(steps: list[StepCompleted]) -> StepCompleted:
    """One line for several fast steps: sums of counts and times, the mean of the losses."""
    last = steps[-1]
    if len(steps) == 1:
        return last
    losses = [step.loss for step in steps if step.loss is not None]
    tokens = [step.tokens for step in steps if step.tokens is not None]
    padding = [step.padding_tokens for step in steps if step.padding_tokens is not None]
    device = [step.device_phases for step in steps if step.device_phases is not None]
    return StepCompleted(
        t=last.t,
        step=last.step,
        steps=len(steps),
        micro_steps=sum(step.micro_steps for step in steps),
        samples=sum(step.samples for step in steps),
        tokens=sum(tokens) if len(tokens) == len(steps) else None,
        padding_tokens=sum(padding) if len(padding) == len(steps) else None,
        loss=round(sum(losses) / len(losses), 6) if losses else None,
        nonfinite=any(step.nonfinite for step in steps),
        nonfinite_steps=sum(step.nonfinite_steps for step in steps),
        nonfinite_gradients=sum(step.nonfinite_gradients for step in steps),
        skipped_steps=sum(step.skipped_steps for step in steps),
        lr=last.lr,
        seconds=sum(step.seconds for step in steps),
        phases=_summed([step.phases for step in steps]),
        device_phases=_summed(device) if len(device) == len(steps) else None,
        peak_allocated_bytes=highest([step.peak_allocated_bytes for step in steps]),
        peak_reserved_bytes=highest([step.peak_reserved_bytes for step in steps]),
        alloc_retries=highest([step.alloc_retries for step in steps]),
        trial=last.trial,
        probe=last.probe,
    )


def shortened(line: StepCompleted) -> StepCompleted:
    """The line as it is written: phases to four digits of its seconds, those that round to zero left out.

    The books are exact; a line is for charts and shares.
    """
    if line.seconds <= 0:
        return line
    decimals = PHASE_DIGITS - 1 - math.floor(math.log10(line.seconds))
    device = line.device_phases
    return replace(
        line,
        seconds=round(line.seconds, decimals + 2),
        phases=_rounded(line.phases, decimals),
        device_phases=_rounded(device, decimals) if device is not None else None,
    )


def _rounded(phases: dict[str, float], decimals: int) -> dict[str, float]:
    rounded = {name: round(seconds, decimals) for name, seconds in phases.items()}
    return {name: seconds for name, seconds in rounded.items() if seconds}


def _summed(parts: list[dict[str, float]]) -> dict[str, float]:
    return {name: sum(part.get(name, 0.0) for part in parts) for name in parts[0]}
