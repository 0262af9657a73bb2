"""The end of a training: the model left, what it came to told and kept."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.jobs.execute import JobResult
from speedtui.engine.jobs.going_on import resume_command
from speedtui.engine.jobs.look_back import look_back
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.schedule import TrainingSchedule
from speedtui.engine.trainer.training import TrainingTrainer

MODEL_NAME = "model"
"""Folder of the final model in the run's folder."""


def end_training(
    context: JobContext, settings: Settings, trainer: TrainingTrainer, schedule: TrainingSchedule, eta: Eta, *,
    seconds: float, estimate: Estimate | None, since: float,
) -> JobResult:  # fmt: skip
    """Saves the model, tells the end, writes the report; `seconds`: what the training took in this worker.

    Raises:
        JobError: the model cannot be saved.
    """
    finished = _finish(context, trainer, schedule, eta, seconds)
    whole = not context.order.resume and finished.reason == "steps"
    actual_seconds = context.t - since if whole else None  # else it is no measure of what was estimated
    look_back(
        context, settings, estimate, actual_seconds, eta.made(), eta.costs(),
        at_a_time=trainer.evaluating.answered_at_a_time, alone=since == 0,
    )  # fmt: skip
    return _result(context, finished)


def _finish(
    context: JobContext, trainer: TrainingTrainer, schedule: TrainingSchedule, eta: Eta, seconds: float
) -> e.TrainingFinished:
    path = context.folder.path / MODEL_NAME
    try:
        saved, best = trainer.save_final(path)
    except OSError as error:
        raise JobError(
            f"the model could not be saved to {path}: {error.strerror or error}",
            f"Make room, then: {resume_command(context.folder, context.order)}",
        ) from None
    schedule.saved(saved)
    first_loss, last_loss = eta.losses()
    finished = e.TrainingFinished(
        t=context.t,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        first_loss=first_loss,
        last_loss=last_loss,
        model_path=str(path),
        reason=schedule.ended,
        total_steps=trainer.state.max_steps,
        best_step=best,
    )
    context.emit(finished, flush=True)
    return finished


def _result(context: JobContext, finished: e.TrainingFinished) -> JobResult:
    window, path = context.order.window, Path(finished.model_path or "")
    now = context.clock.started_at + context.t
    if finished.reason == "deadline":
        return JobResult(
            outcome="late", exit_code=ExitCode.LATE,
            reason=f"the deadline came at step {finished.steps} of {finished.total_steps}; the model is in {path}",
            next=f"Go on when there is time: {resume_command(context.folder, context.order)} --window 2h",
        )  # fmt: skip
    if window is not None and now > window.deadline:
        ended = datetime.fromtimestamp(now)
        return JobResult(
            outcome="late", exit_code=ExitCode.LATE, reason=f"done at {ended:%H:%M}, after the deadline",
            next=f"The model is in {path}",
        )  # fmt: skip
    return JobResult(next=f"The model is in {path}")
