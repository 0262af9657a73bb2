"""What happens at a step boundary besides the step: commands, evaluations, checkpoints, the end."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from transformers import TrainerControl

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.config.settings import Scalar, ScheduleSettings
from speedtui.engine.context.context import JobContext, JobStopped, Refused
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.best import BestSoFar
from speedtui.engine.trainer.deadline import Deadline
from speedtui.engine.trainer.live_settings import NOTHING_TO_EVALUATE, LiveSettings
from speedtui.engine.units import format_span

RETRY_SECONDS = 60.0
"""From a checkpoint that could not be written to the next try: time for somebody to make room."""
LOOK_SECONDS = 0.2
"""Between two looks at commands and deadline while an evaluation goes on."""
TELL_SECONDS = 1.0
"""Between two progress events of an evaluation: a long run has many of them, and its log stays small."""


class EvaluationLeft(Exception):
    """An evaluation is given up, since the training is to end now."""


class TrainingSchedule:
    """Decides after each step what comes before the next one, and whether there is a next one."""

    def __init__(
        self, context: JobContext, live: LiveSettings, schedule: ScheduleSettings, eta: Eta, store: CheckpointStore
    ) -> None:
        self._context = context
        self._live = live
        self._eta = eta
        self._store = store
        self.deadline = Deadline(context, eta)
        self.best = BestSoFar(schedule.best_by)
        self.kind: e.EvaluationKind = "full"
        """Of the evaluation that comes now."""
        self.save_reason: e.SaveReason = "schedule"
        """Of the checkpoint that comes now."""
        self.stopped: JobStopped | None = None
        """Somebody asked the training to end before its last step."""
        self.ended: e.EndReason = "steps"
        self.rebuild = False
        """The trainer is to be made anew, with the settings that wait, from the checkpoint that was just saved."""
        self._told_put_off: dict[str, Scalar] = {}
        self._evaluate_now = self._save_now = False
        self._last = self._amid = False
        self._retry_at: float | None = None
        self._look_at = self._tell_at = 0.0
        self._step_ended: float | None = None
        self.change(schedule)
        context.handlers[c.Evaluate] = self._on_evaluate_command
        context.handlers[c.Checkpoint] = self._on_checkpoint_command

    def change(self, schedule: ScheduleSettings) -> None:
        """Other settings hold from now on; what has passed since the last evaluation and checkpoint still counts."""
        self._schedule = schedule
        self._eta.change(schedule, self._context.t)
        self._store.keep = schedule.keep_checkpoints
        self.best.judge_by(schedule.best_by)

    # -- the boundary ------------------------------------------------------------------------------

    def epoch_begun(self, step: int) -> None:
        """The first micro-batches of an epoch have come, after so many steps."""
        if self._step_ended is not None:
            seconds = round(working_seconds() - self._step_ended, 6)
            self._context.emit(e.SpanCompleted(t=self._context.t, phase="gap", seconds=seconds, step=step))

    def after_step(self, step: int, total_steps: int, control: TrainerControl) -> None:
        """Sets in `control` what comes before the next step: an evaluation, a checkpoint, or the end."""
        self._step_ended = working_seconds()
        self._last = last = step >= total_steps
        try:
            self._context.poll()
        except JobStopped as stopped:
            self._stop(stopped, control)
            return
        if not last and self.deadline.reached():
            self.end_at_deadline(control)
            return
        self._decide_evaluation(step, control)
        self._decide_checkpoint(step, last, control)
        self._evaluate_now = self._save_now = False

    def _decide_evaluation(self, step: int, control: TrainerControl) -> None:
        kind: e.EvaluationKind | None = "full"
        if not self._evaluate_now:
            kind = self._eta.evaluation_due(step, self._context.t)
            kind = kind and self.deadline.affordable(kind)
        control.should_evaluate = kind is not None
        self.kind = kind or "full"

    def _decide_checkpoint(self, step: int, last: bool, control: TrainerControl) -> None:
        reason = None if last else self._save_due(step)
        if reason is not None:
            self._save(control, reason)

    def _save_due(self, step: int) -> e.SaveReason | None:
        if self._save_now:
            return "command"
        if self._retry_at is not None and time.monotonic() < self._retry_at:
            return None
        if self._live.waiting:
            return "change"
        if self._retry_at is not None:
            return "schedule"
        return self._eta.save_due(step, self._context.t)

    def _save(self, control: TrainerControl, reason: e.SaveReason) -> None:
        control.should_save, self.save_reason = True, reason

    # -- the end -----------------------------------------------------------------------------------

    def _stop(self, stopped: JobStopped, control: TrainerControl) -> None:
        self.stopped, self.ended = stopped, "stop"
        control.should_training_stop, control.should_evaluate, control.should_save = True, False, False
        if stopped.save:
            self._save(control, "stop")

    def diverge(self, control: TrainerControl, *, ends: bool) -> None:
        """The model is not finite any more: nothing is done with it. `ends`: and nobody brings it back."""
        self.rebuild = False
        control.should_training_stop, control.should_evaluate, control.should_save = True, False, False
        if ends:
            self.stopped, self.ended = None, "diverged"

    def end_at_deadline(self, control: TrainerControl) -> None:
        """The time that is left is what saving takes."""
        self.ended = "deadline"
        control.should_training_stop, control.should_evaluate = True, False
        self._save(control, "deadline")

    # -- while an evaluation goes on ---------------------------------------------------------------

    def during_evaluation(self, what: str, done: int, total: int | None) -> None:
        """Follows commands and the deadline in the middle of an evaluation.

        Raises:
            EvaluationLeft: the training is to end now; `leave_evaluation` then says how.
        """
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self._amid = self._step_ended is not None
        try:
            self._context.poll()
        except JobStopped as stopped:
            self.stopped = stopped
            raise EvaluationLeft from None
        finally:
            self._amid = False
        if self.deadline.reached():
            raise EvaluationLeft
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            self._context.emit(e.ProgressMade(t=self._context.t, what=what, done=done, total=total))

    def leave_evaluation(self, step: int, control: TrainerControl) -> None:
        """The evaluation was given up: ends the training."""
        if self.stopped is not None:
            self._stop(self.stopped, control)
            return
        self._context.notice(f"the evaluation at step {step} was left: only the time to save is left")
        self.end_at_deadline(control)

    # -- what was done -----------------------------------------------------------------------------

    def evaluated(self, evaluation: e.EvaluationCompleted, control: TrainerControl, *, last: bool) -> None:
        """An evaluation ended, `best` not yet judged; where it ends the training or asks for a checkpoint is set."""
        self._eta.evaluated(evaluation.kind, evaluation.seconds, evaluation.phases)
        best = self.best.take(evaluation.step, evaluation.loss, evaluation.metrics, nonfinite=evaluation.nonfinite)
        self._context.emit(msgspec.structs.replace(evaluation, best=best))
        if best and self._schedule.save_only_best and not last:  # after which the model itself is saved
            self._save(control, "best")
        elif self._save_now and not last:
            self._save_now = False
            self._save(control, "command")
        patience = self._schedule.patience
        if patience is not None and self.best.since >= patience and not last:
            since = f"{self.best.since} evaluations in a row"
            none = f"no better than step {self.best.step}" if self.best.step is not None else "no loss that is finite"
            self._context.notice(f"{none} for {since}: the training ends here")
            self.ended, control.should_training_stop = "patience", True
            if not self._schedule.save_only_best:
                self._save(control, "stop")

    def saved(self, checkpoint: e.CheckpointSaved) -> None:
        """A checkpoint or the final model is on disk."""
        self._retry_at = None
        self.rebuild = checkpoint.reason == "change" and self.ended == "steps"
        if checkpoint.reason == "best":
            self._store.protect = checkpoint.step
        if checkpoint.final:
            self._eta.final_saved(checkpoint.seconds)
        else:
            self._eta.saved(checkpoint.seconds, best=checkpoint.reason == "best")
        self._context.emit(checkpoint, flush=True)

    def save_failed(self, step: int, reason: str) -> None:
        """A checkpoint could not be written: the training goes on as it was, and it is tried again."""
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._context.emit(e.CheckpointFailed(t=self._context.t, step=step, reason=reason, retry_seconds=RETRY_SECONDS))
        waiting = self._live.waiting
        if waiting and waiting != self._told_put_off:
            self._told_put_off = dict(waiting)
            names = ", ".join(waiting)
            text = f"{names} is not changed yet: that takes a checkpoint, and none could be saved: {reason}"
            hint = f"The training goes on as it was; {names} is changed with the next one that can be."
            self._context.notice(text, level="warning", hint=hint)

    # -- across an interruption --------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """What `restore` takes, for a checkpoint."""
        return {"best": self.best.state(), "full_seconds": self._eta.full_seconds}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self.best.restore(state.get("best", {}))
        self._eta.full_seconds = float(state.get("full_seconds", 0.0))
        if self._schedule.save_only_best:
            self._store.protect = self.best.step

    # -- commands ----------------------------------------------------------------------------------

    @property
    def closing(self) -> str:
        """Why nothing more comes but the end, in words; empty while there is more to come."""
        if self._last:
            return "the last step is made"
        return "only the time to save is left before the deadline" if self.deadline.reached() else ""

    def _on_evaluate_command(self, command: c.AnyCommand) -> str:
        if not self._live.evaluates:
            raise Refused(f"{NOTHING_TO_EVALUATE}: name data.eval, or return eval_dataset from the recipe")
        if self._amid:
            raise Refused("an evaluation is being made")
        if not self._last and (closing := self.closing):
            raise Refused(closing)
        self._evaluate_now = True
        seconds = self._eta.eval_seconds("full")
        return self._when(f"after this step, in about {format_span(seconds)}" if seconds else "after this step")

    def _on_checkpoint_command(self, command: c.AnyCommand) -> str:
        if closing := self.closing:
            raise Refused(f"{closing}: what is saved now is the model" if self._last else closing)
        self._save_now = True
        return self._when("after this evaluation" if self._amid else "after this step")

    def _when(self, going_on: str) -> str:
        return "when it goes on" if self._context.paused else going_on
