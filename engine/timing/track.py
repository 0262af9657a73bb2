"""How far a training is between two looks at it: its last step, and what has passed since."""

from __future__ import annotations

from collections import deque

import numpy as np

from speedtui.engine import events as e
from speedtui.engine.timing.curve import Floats
from speedtui.engine.timing.step_time import StepTimeModel

LAG_SECONDS = 1.0
"""Most of the time since the last line that may be steps already made and not told: lines come three times a second,
and a pump thread that has to wait for its turn is late."""


class StepSizes:
    """Padded tokens of the steps of a whole run, added up; of any stretch in constant time."""

    def __init__(self, sizes: Floats | None) -> None:
        """`sizes`: (total_steps,); None where they are unknown, and every stretch then has 0."""
        self._sums = None if sizes is None else np.concatenate([np.zeros(1), np.cumsum(sizes)])

    def between(self, first: int, last: int) -> float:
        """Of the steps after `first` up to `last`; beyond the run's end as if it went on in the same way."""
        if self._sums is None or last <= first:
            return 0.0
        end = len(self._sums) - 1
        total = float(self._sums[min(last, end)] - self._sums[min(first, end)])
        beyond = last - max(first, end)
        return total + (beyond * float(self._sums[end]) / end if beyond > 0 and end else 0.0)


class Track:
    """The last step told of and the interruptions: what lies between lines and is no part of a step.

    The training thread tells of interruptions, the pump thread of lines; each only appends to what the other takes out
    or replaces one value.
    """

    def __init__(self, first_step: int, epoch_steps: int, sizes: StepSizes) -> None:
        self.step = first_step
        self.t: float | None = None
        """Of the last line; None before the first."""
        self.sizes = sizes
        self._first_step = first_step
        self._epoch_steps = epoch_steps
        self._running: tuple[str, float] | None = None
        self._ended: deque[tuple[float, float]] = deque()
        self._since_line: list[tuple[float, float]] = []

    # -- training thread ---------------------------------------------------------------------------

    def began(self, what: str, t: float) -> None:
        """An interruption begins."""
        self._running = (what, t)

    def ended(self, seconds: float) -> float | None:
        """It is over and took so long; returns when it ended, None where nobody said that it began."""
        running, self._running = self._running, None
        if running is None:
            return None
        self._ended.append((running[1], seconds))
        return running[1] + seconds

    # -- pump thread -------------------------------------------------------------------------------

    def line(self, line: e.StepCompleted, pace: StepTimeModel) -> None:
        """A line, and what it says of the pace."""
        before, self.step = self.step, line.step
        besides = self._besides(line)
        epochs = (line.step - 1) // self._epoch_steps - (max(before, 1) - 1) // self._epoch_steps
        if besides is not None and epochs > 0:
            pace.add_epoch(besides / epochs)
        size = self.sizes.between(line.step - line.steps, line.step)
        pace.add(line.steps, size, line.seconds, 0.0 if besides is None or epochs > 0 else besides)
        running = self._running
        if running is not None and running[1] < line.t - line.seconds:
            self._running = None  # it was given up, and nobody said that it ended

    def _besides(self, line: e.StepCompleted) -> float | None:
        """Seconds between the last line and this one that were neither steps nor interruptions; None for the first."""
        began, self.t = self.t, line.t
        self._collect()
        inside = sum(seconds for t, seconds in self._since_line if t < line.t)
        self._since_line = [(t, seconds) for t, seconds in self._since_line if t >= line.t]
        return None if began is None else max(line.t - began - line.seconds - inside, 0.0)

    def _collect(self) -> None:
        while self._ended:
            self._since_line.append(self._ended.popleft())

    def running(self, t: float) -> tuple[str, float] | None:
        """(what goes on besides steps, for how long); None for steps."""
        running = self._running
        return None if running is None else (running[0], max(t - running[1], 0.0))

    def credit(self, t: float, step_seconds: float) -> float:
        """Seconds of the steps to come that have passed already since the last line."""
        if self.t is None:
            return 0.0
        self._collect()
        passed = t - self.t - sum(seconds for _, seconds in self._since_line)
        running = self.running(t)
        if running is not None:
            passed -= running[1]
        return min(max(passed, 0.0), max(step_seconds, LAG_SECONDS))

    def epochs_ahead(self, last: int) -> int:
        """How often another epoch begins after the last step told of, up to `last`."""
        return max((last - 1) // self._epoch_steps - (max(self.step, 1) - 1) // self._epoch_steps, 0)
