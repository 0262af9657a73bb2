"""Profiles of a few steps of a training, so rarely that they cost it next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from transformers import TrainerControl

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.profile import StepProfile

SHARE = 0.005
"""Of the training's time, that all its profiles together may cost."""
FIRST_COST_SECONDS = 3.0
"""What one is taken to cost before one was made: CUPTI is loaded, and tens of thousands of events are read."""
FIRST_STEPS = 20
"""Steps of this trainer before the first: by then nothing warms up any more, and its pace is known."""
APART_SECONDS = 1800.0
"""Between two of them at least."""


class SampledBusy:
    """Asked at the end of every step; profiles the next few where that is due, and tells what it found."""

    def __init__(
        self, context: JobContext, meter: Meter, device: torch.device, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`now`: seconds, monotonic. On a CPU it does nothing: that computes in all of its time."""
        self._context = context
        self._meter = meter
        self._follows = device.type != "cpu"
        self._now = now
        self._began = now()
        self._first_step: int | None = None
        self._profile: StepProfile | None = None
        self._last_at: float | None = None
        self._spent = 0.0
        self._cost = FIRST_COST_SECONDS

    def after_step(self, step: int, total: int, control: TrainerControl) -> None:
        """A step is complete; `control` says what comes before the next."""
        if not self._follows:
            return
        if self._first_step is None:
            self._began, self._first_step = self._now(), step
        interrupted = control.should_evaluate or control.should_save or control.should_training_stop or step >= total
        if self._profile is not None:
            if self._profile.full or interrupted:
                self._end(self._profile)
        elif not interrupted and self.due(step, total):
            self._begin()

    def due(self, step: int, total: int) -> bool:
        """Whether one is worth it now: the whole training is long enough to pay for it and for those before."""
        first = step if self._first_step is None else self._first_step
        now = self._now()
        done = step - first
        if done < FIRST_STEPS or (self._last_at is not None and now - self._last_at < APART_SECONDS):
            return False
        expected = (now - self._began) * (total - first) / done
        return self._spent + self._cost <= SHARE * expected

    def close(self) -> None:
        """The training is over, in whatever way."""
        if self._profile is not None:
            self._profile.abandon()
            self._profile = None

    def _begin(self) -> None:
        with self._context.phases.phase("other"):
            self._profile = StepProfile(self._meter, self._context.log)
            self._profile.begin()
        if not self._profile.running:
            self._give_up(self._profile.failure)

    def _end(self, profile: StepProfile) -> None:
        with self._context.phases.phase("other"):
            found = profile.end()  # raises on a broken device: then it is still there to be abandoned
        self._profile = None
        self._last_at, self._cost = self._now(), profile.seconds
        self._spent += profile.seconds
        if found is None:
            self._give_up(profile.failure)
            return
        self._context.emit(
            e.DeviceBusyMeasured(
                t=self._context.t, step=found.last_step, steps=found.steps, cost_seconds=round(profile.seconds, 3),
                phases=_rounded(found.phases), busy=_rounded(found.busy),
            )
        )  # fmt: skip

    def _give_up(self, why: str) -> None:
        """What does not work once will not work the next time."""
        self._follows, self._profile = False, None
        self._context.tell_once(f"how long the device is idle in a step is not known: {why}")


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 6) for name, value in seconds.items()}
