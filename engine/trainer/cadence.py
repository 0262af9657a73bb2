"""When something that comes again and again is due."""

from __future__ import annotations

import time
from collections.abc import Callable

from speedtui.engine.config.frequency import Frequency
from speedtui.engine.timing.counts import frequency_steps


class Cadence:
    """A frequency at the boundaries of a training's steps."""

    def __init__(self, every: Frequency, epoch_steps: int, clock: Callable[[], float] = time.monotonic) -> None:
        """`epoch_steps`: optimizer steps of an epoch; `clock`: seconds."""
        self.steps = frequency_steps(every, epoch_steps)
        """Between two of them; None for never and for a stretch of time."""
        self.seconds = every.seconds
        self._epoch_steps = epoch_steps
        self._clock = clock
        self._last = clock()

    def change(self, every: Frequency) -> None:
        """Another frequency from now on; a stretch of time still counts from when it was done last, and from now where
        it was never due."""
        if self.never:
            self._last = self._clock()
        self.steps, self.seconds = frequency_steps(every, self._epoch_steps), every.seconds

    @property
    def never(self) -> bool:
        """Whether it is never due."""
        return self.steps is None and self.seconds is None

    def due(self, step: int) -> bool:
        """Whether it is due after this step."""
        if self.steps is not None:
            return step % self.steps == 0
        return self.seconds is not None and self._clock() - self._last >= self.seconds

    def done(self) -> None:
        """It was done just now: a stretch of time begins anew."""
        self._last = self._clock()
