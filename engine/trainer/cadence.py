"""When something that comes again and again is due."""

from __future__ import annotations

import time

from speedtui.engine.config.frequency import Frequency
from speedtui.engine.timing.counts import frequency_steps


class Cadence:
    """A frequency at the boundaries of a training's steps."""

    def __init__(self, every: Frequency, epoch_steps: int) -> None:
        """`epoch_steps`: optimizer steps of an epoch."""
        self.steps = frequency_steps(every, epoch_steps)
        """Between two of them; None for never and for a stretch of time."""
        self.seconds = every.seconds
        self._last = time.monotonic()

    @property
    def never(self) -> bool:
        """Whether it is never due."""
        return self.steps is None and self.seconds is None

    def due(self, step: int) -> bool:
        """Whether it is due after this step."""
        if self.steps is not None:
            return step % self.steps == 0
        return self.seconds is not None and time.monotonic() - self._last >= self.seconds

    def done(self) -> None:
        """It was done just now: a stretch of time begins anew."""
        self._last = time.monotonic()
