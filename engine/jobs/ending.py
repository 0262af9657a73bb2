"""The end of a training: the model left, what it came to told and kept."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.not_finite import lower_rate
from speedtui.engine.advise.rule_input import Actual, RuleInput
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import JobError
from speedtui.engine.hardware.limits import usable_cores
from speedtui.engine.history.keys import evaluating_settings
from speedtui.engine.jobs.job_history import JobHistory
from speedtui.engine.jobs.result import JobResult, failed, late
from speedtui.engine.jobs.resume_hint import go_on_lower, resume_command
from speedtui.engine.jobs.resuming import EarlierWorkers
from speedtui.engine.plan_types import ProfileRow
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.schedule.count import Made
from speedtui.engine.search.candidates import label
from speedtui.engine.timing.eta import Eta
from speedtui.engine.timing.verdict import judge_ended
from speedtui.engine.trainer.finite import Divergence
from speedtui.engine.trainer.schedule import TrainingSchedule
from speedtui.engine.trainer.training import TrainingTrainer

MODEL_NAME = "model"
"""Folder of the final model in the run's folder."""


def end_training(
    context: JobContext, settings: Settings, trainer: TrainingTrainer, schedule: TrainingSchedule, eta: Eta, *,
    earlier: EarlierWorkers, seconds: float, estimate: Estimate | None, since: float,
) -> JobResult:  # fmt: skip
    """Saves the model, tells the end, writes the report; `seconds`: what the training took in this worker, after
    `earlier` before it.

    Raises:
        JobError: the model cannot be saved.
    """
    finished = _finish(context, trainer, schedule, eta, earlier.seconds + seconds)
    whole = finished.reason == "steps" and not earlier.steps_again
    away, made = context.phases.seconds("away"), eta.made()
    actual_seconds = context.t - since - away if whole else None  # else it is no measure of what was estimated
    record_accuracy(
        context, settings, estimate, actual_seconds, earlier.made(made), eta.costs(), evaluations=made.full,
        at_a_time=trainer.evaluating.answered_at_a_time, alone=since == 0,
    )  # fmt: skip
    return _result(context, finished, settings, trainer.diverged)


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
    if saved is not None:
        schedule.saved(saved)
    first_loss, last_loss = eta.losses()
    diverged = schedule.ended == "diverged"
    finished = e.TrainingFinished(
        t=context.t,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        first_loss=first_loss,
        last_loss=None if diverged else last_loss,
        model_path=str(path) if saved is not None else None,
        reason=schedule.ended,
        total_steps=trainer.state.max_steps,
        best_step=best,
    )
    context.emit(finished, flush=True)
    return finished


def _result(
    context: JobContext, finished: e.TrainingFinished, settings: Settings, diverged: Divergence | None
) -> JobResult:  # fmt: skip
    window, path = context.order.window, Path(finished.model_path or "")
    now = context.clock.wall(context.t)
    if diverged is not None:
        left = f"the model in {path} is that of step {finished.best_step}" if finished.model_path else (
            "no checkpoint is older, so no model is left"
        )  # fmt: skip
        rate = lower_rate(settings.train.learning_rate)
        lower = go_on_lower(context.folder, context.order, rate, finished.best_step)
        return failed(f"the training diverged: {diverged.words}; {left}", lower, final=True)
    if finished.reason == "deadline":
        return late(
            f"the deadline came at step {finished.steps} of {finished.total_steps}; the model is in {path}",
            f"Go on when there is time: {resume_command(context.folder, context.order)} --window 2h",
        )
    if window is not None and judge_ended(now, window) == "late":
        ended = datetime.fromtimestamp(now)
        return late(f"done at {ended:%H:%M}, after the deadline", f"The model is in {path}")
    return JobResult(next=f"The model is in {path}")


def record_accuracy(
    context: JobContext, settings: Settings, estimate: Estimate | None, actual_seconds: float | None, made: Made,
    costs: RunCosts, *, evaluations: int, at_a_time: int, alone: bool,
) -> None:  # fmt: skip
    """`actual_seconds`: of what the estimate is of; None where only a part of it was run. `made`: by all workers.

    `costs`: of an evaluation, over the full ones of this worker, which `evaluations` counts; `at_a_time`: rows that
    were answered together. `alone`: the run was this training and nothing else, so that its books are the training's.
    """
    if evaluations and evaluating_settings(settings) == evaluating_settings(context.settings):  # else it is a mixture
        JobHistory(context).evaluations(settings, costs, count=evaluations, at_a_time=at_a_time)
    if actual_seconds is None:
        return
    if estimate is not None:
        JobHistory(context).outcome(settings, estimate.p50_seconds, estimate.p90_seconds, actual_seconds)
    case = RuleInput(
        settings=settings,
        row=_row(context, settings, estimate),
        now=context.clock.wall(context.t) - actual_seconds,
        window=context.order.window,
        actual=Actual(seconds=actual_seconds, phases=_phases(context) if alone else {}, made=made if alone else None),
        cores=usable_cores(),
    )
    for advice in advise(case):
        context.emit(e.AdviceGiven(t=context.t, advice=advice))


def _row(context: JobContext, settings: Settings, estimate: Estimate | None) -> ProfileRow:
    train = settings.train
    return ProfileRow(
        profile=context.order.profile or "",
        description="",
        label=label(settings, context.order.named),
        values={},
        micro_batch_size=train.micro_batch_size,
        grad_accum_steps=train.effective_batch_size // train.micro_batch_size,
        max_length=settings.data.max_length,
        epochs=train.epochs,
        estimate=estimate,
        source=estimate.source if estimate is not None else "model",
    )


def _phases(context: JobContext) -> dict[str, float]:
    """Of all workers, without the time between them."""
    return {name: seconds for name, seconds in context.phases.books().phases.items() if name != "away"}
