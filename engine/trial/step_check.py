"""What a probe does at the end of every step: commands, the budget, whether it has seen enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.meter import Meter, StepTiming
from speedtui.engine.meter.profile import BusySteps, StepProfile
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.judgement import ProbeRules
from speedtui.engine.trial.probe_setup import ProbeSetup


class StepCheck(TrainerCallback):
    """Looks for commands, and whether enough has been measured, after every step."""

    def __init__(
        self, setup: ProbeSetup, meter: Meter, judgement: ProbeRules | None, steps: int, profile: StepProfile | None
    ) -> None:
        """`steps`: after which there is enough in any case; `profile`: of the steps after those."""
        self._setup = setup
        self._meter = meter
        self._judgement = judgement
        self._steps = steps
        self._profile = profile
        self.judged_at: float | None = None
        """The run's time when enough had been measured; None where the steps were too few for it."""
        self.epoch_began = 0.0
        """`working_seconds` when the first epoch began."""

    def end_profile(self) -> BusySteps | None:
        """What the profile found; why it found nothing is told once."""
        if self._profile is None:
            return None
        busy = self._profile.end() if self._profile.running else None
        if self._profile.failure:
            text = f"how long the device is idle in a step is not known: {self._profile.failure}"
            self._setup.context.tell_once(text)
        return busy

    def abandon_profile(self) -> None:
        """Where the steps came to no good end; does nothing once it has ended."""
        if self._profile is not None:
            self._profile.abandon()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.epoch_began = self.epoch_began or working_seconds()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._setup.context.poll()
        timings = self._meter.timings
        if self._judgement is not None:
            self._setup.context.log.flush()  # so that this step is among them
        try:
            self._setup.check()
        except TrialEnded as ended:
            enough = self._judgement is not None and timings is not None and self._judgement.enough(timings)
            if ended.status is not TrialStatus.TIMED_OUT or not enough:
                raise
            control.should_training_stop = True  # what has been seen by now says more than nothing
            return
        if self._judgement is None or timings is None:
            return
        if self._profile is not None and self._profile.running:
            control.should_training_stop = self._profile.full
            return
        if self._judgement.done(timings) or state.global_step >= self._steps:
            control.should_training_stop = not self._goes_on(self._judgement, timings)

    def _goes_on(self, judgement: ProbeRules, timings: Sequence[StepTiming]) -> bool:
        """Whether steps are to be profiled now that enough were measured; not those of a candidate that is too slow."""
        self.judged_at = self._setup.context.t
        if self._profile is None:
            return False
        if judgement.early_stop and judgement.enough(timings) and judgement.loses(judgement.measurement(timings)):
            return False
        self._profile.begin()
        return self._profile.running
