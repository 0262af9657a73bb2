"""What a training does that does not come back to finite numbers: it ends, goes back to a checkpoint, or goes on."""

from __future__ import annotations

from torch import nn
from transformers import TrainerControl

from speedtui.engine.advise.not_finite import lower_rate
from speedtui.engine.checkpoint.store import CheckpointStore, Found
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.meter.meter import Meter
from speedtui.engine.trainer.finite import Divergence, FiniteWatch, nonfinite_weight
from speedtui.engine.trainer.live_settings import RATE, LiveSettings
from speedtui.engine.trainer.schedule import TrainingSchedule

MOST_TIMES_BACK = 3
"""Half of half of half the rate: what still diverges then does so for another reason."""


class Diverging:
    """Follows `schedule.on_nonfinite`; one for all trainers of a training."""

    def __init__(
        self, context: JobContext, live: LiveSettings, schedule: TrainingSchedule, store: CheckpointStore
    ) -> None:
        self._context = context
        self._live = live
        self._schedule = schedule
        self._store = store
        self.watch = FiniteWatch(context, store.last_until)
        self.goes_back = False
        """The trainer is to be made anew, from the checkpoint that `back` finds."""
        self._times = 0

    def require_finite(self, model: nn.Module) -> None:
        """Before the first step: nothing that is trained brings back what was NaN to begin with.

        Raises:
            JobError: a weight is not finite.
        """
        name = nonfinite_weight(model)
        if name:
            raise JobError(
                f"{name}: the weights are not finite before the first step",
                "Take a model folder or a checkpoint whose weights are numbers.",
            )

    def after_step(self, meter: Meter, model: nn.Module, step: int, total_steps: int, control: TrainerControl) -> None:
        """After the schedule has decided what comes now: what it decided on is not done with a diverged model."""
        last = step >= total_steps
        if last or control.should_evaluate or control.should_save or control.should_training_stop:
            meter.settle(self._context.log)
        about_to = control.should_save or control.should_training_stop
        self.watch.look(model, step, last=last, always=about_to)
        if self.watch.certain is not None:
            self._follow(self.watch.certain, control)

    def _follow(self, divergence: Divergence, control: TrainerControl) -> None:
        policy, stopped = self._live.current.schedule.on_nonfinite, self._schedule.stopped
        if stopped is None and policy == "continue":
            self.watch.let_pass()
            return
        by_signal = stopped is not None and stopped.exit_code is not ExitCode.DONE
        if by_signal or (policy == "continue" and not divergence.weights):
            return  # it ends as it was asked to; what is not finite is not saved
        checkpoint = self._store.last_until(divergence.good_step)
        self.goes_back = (
            policy == "go_back" and checkpoint is not None and stopped is None and self._times < MOST_TIMES_BACK
        )
        self._schedule.diverge(control, ends=not self.goes_back)

    def back(self, model: str) -> Found | None:
        """The checkpoint to go on from, newer ones gone, and the lower rate told; `model`: its fingerprint."""
        divergence = self.watch.certain
        assert divergence is not None
        self.goes_back = False
        self._times += 1
        found = self._store.newest(model, until=divergence.good_step)
        if found is not None:
            self._store.drop_after(found.facts.step)
            self._live.step = found.facts.step
            values: dict[str, Scalar] = {RATE: lower_rate(self._live.current.train.learning_rate)}
            changed = with_values(self._live.current, values, "going back")
            self._live.apply(changed, values, f"back to step {found.facts.step}: {divergence.words}")
        return found

    def at_the_end(self, model: nn.Module, step: int) -> Divergence | None:
        """Why the model as it is must not be left; None where it may."""
        name = nonfinite_weight(model)
        if name and (self.watch.certain is None or not self.watch.certain.weights):
            self.watch.found(name, step)
        if name:
            self._schedule.ended = "diverged"
        return self.watch.certain if self._schedule.ended == "diverged" else None

    def last_good(self) -> Found | None:
        """The last checkpoint from before it diverged."""
        divergence = self.watch.certain
        return self._store.newest(until=divergence.good_step) if divergence is not None else None
