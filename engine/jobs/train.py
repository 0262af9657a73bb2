"""The job `train`: the training proper, from load to the saved model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.jobs.execute import JobResult
from speedtui.engine.jobs.look_back import look_back
from speedtui.engine.report.training import write_training_report
from speedtui.engine.timing.eta import Eta

if TYPE_CHECKING:
    import torch

    from speedtui.engine.trainer.schedule import TrainingSchedule
    from speedtui.engine.trainer.trainer import MeteredTrainer
    from speedtui.engine.workload.base import Workload

MODEL_NAME = "model"
"""Folder of the final model in the run's folder."""


def run_train(context: JobContext) -> JobResult:
    """Loads and trains.

    Raises:
        JobStopped: it was asked to end; a checkpoint is saved unless it was a cancel.
        SpeedtuiError: the model or data cannot be used, or the training failed.
    """
    context.progress("importing torch", 0, None)
    with context.phases.phase("load"):
        from speedtui.engine.trainer.device import pick_device
        from speedtui.engine.trainer.loaded import tell_loaded
        from speedtui.engine.workload.load import load_workload

        started = time.perf_counter()
        device = pick_device()
        workload = load_workload(context.settings, device=device, report=context.progress)
    tell_loaded(context, workload, time.perf_counter() - started)
    order = context.order
    return train(context, context.settings, workload, device, label=order.label, trial=order.trial,
                 estimate=order.estimate, since=0.0)  # fmt: skip


def train(
    context: JobContext, settings: Settings, workload: Workload, device: torch.device, *, label: str,
    trial: int | None, estimate: Estimate | None, since: float,
) -> JobResult:  # fmt: skip
    """Trains a loaded workload with these settings; `since`: the run's time that `estimate` counts from.

    Raises:
        JobStopped: as `run_train`.
        JobError: out of memory, or the training raised.
    """
    from speedtui.engine.timing.counts import counts_of
    from speedtui.engine.trial.failures import describe_failure
    from speedtui.engine.trial.prepared import make_trainable

    total = counts_of(settings, workload.facts.train_rows).total_steps
    eta = Eta(context, total)
    model = make_trainable(workload.model, settings)
    trainer, schedule = _make_trainer(context, settings, workload, model, device, eta)
    resume_from = _last_checkpoint(context)
    context.emit(
        e.TrainingStarted(
            t=context.t,
            total_steps=total,
            epochs=settings.train.epochs,
            micro_batch_size=settings.train.micro_batch_size,
            grad_accum_steps=settings.train.effective_batch_size // settings.train.micro_batch_size,
            label=label,
            trial=trial,
            first_step=_step_of(resume_from),
        ),
        flush=True,
    )
    started = time.perf_counter()
    sources = (trainer.meter.pump, eta.pump)
    for source in sources:
        context.log.add_source(source)
    try:
        trainer.train(resume_from_checkpoint=str(resume_from) if resume_from is not None else None)
        trainer.meter.close(context.log)
    except Exception as error:
        failure = describe_failure(error)
        reason = f"training failed at step {trainer.state.global_step + 1}: {failure.reason}"
        raise JobError(reason, "Tune with this data first, or take a smaller micro-batch.") from None
    finally:
        for source in sources:
            context.log.remove_source(source)
        context.phases.switch_to("other")
    if schedule.stopped is not None:
        raise schedule.stopped
    finished = _finish(context, trainer, schedule, eta, time.perf_counter() - started)
    actual_seconds = context.t - since if resume_from is None else None  # a resumed run has made only a part of it
    write_training_report(context, finished, estimate, actual_seconds)
    look_back(context, settings, estimate, actual_seconds, alone=since == 0)
    return _result(context, Path(finished.model_path or ""))


def _make_trainer(
    context: JobContext, settings: Settings, workload: Workload, model: torch.nn.Module, device: torch.device, eta: Eta
) -> tuple[MeteredTrainer, TrainingSchedule]:
    from speedtui.engine.meter.device import device_clock
    from speedtui.engine.meter.meter import Meter
    from speedtui.engine.timing.counts import counts_of, frequency_steps
    from speedtui.engine.trainer.arguments import training_arguments
    from speedtui.engine.trainer.schedule import TrainingSchedule
    from speedtui.engine.trainer.trainer import MeteredTrainer
    from speedtui.engine.workload.base import count_tokens

    def emit(step: e.StepCompleted) -> None:
        context.emit(step)
        eta.observe(step)

    meter = Meter(context.phases, context.clock, emit, count_tokens=count_tokens, device=device_clock(device))
    an_epoch = counts_of(settings, workload.facts.train_rows).epoch_steps
    evaluates = workload.eval_dataset is not None
    schedule = TrainingSchedule(
        context,
        eta,
        eval_steps=frequency_steps(parse_frequency(settings.schedule.eval_every), an_epoch) if evaluates else None,
        checkpoint=parse_frequency(settings.schedule.checkpoint_every),
        steps_per_epoch=an_epoch,
    )
    trainer = MeteredTrainer(
        model=model,
        args=training_arguments(settings, context.folder.checkpoints, device),
        train_dataset=workload.train_dataset,
        eval_dataset=workload.eval_dataset,
        data_collator=workload.collator,
        processing_class=workload.tokenizer,
        meter=meter,
        schedule=schedule,
    )
    return trainer, schedule


def _finish(
    context: JobContext, trainer: MeteredTrainer, schedule: TrainingSchedule, eta: Eta, seconds: float
) -> e.TrainingFinished:
    path = context.folder.path / MODEL_NAME
    began = time.perf_counter()
    try:
        with context.phases.phase("checkpoint"):
            trainer.save_model(str(path))
    except OSError as error:
        raise JobError(f"the model could not be saved to {path}: {error}", "Make room and resume the run.") from None
    schedule.saved(trainer.state.global_step, path, time.perf_counter() - began, final=True)
    first_loss, last_loss = eta.losses()
    finished = e.TrainingFinished(
        t=context.t,
        steps=trainer.state.global_step,
        seconds=round(seconds, 3),
        first_loss=first_loss,
        last_loss=last_loss,
        model_path=str(path),
    )
    context.emit(finished, flush=True)
    return finished


def _result(context: JobContext, path: Path) -> JobResult:
    window = context.order.window
    if window is not None and context.clock.started_at + context.t > window.deadline:
        return JobResult(outcome="late", exit_code=ExitCode.LATE, reason="the deadline has passed", next=_use(path))
    return JobResult(next=_use(path))


def _use(path: Path) -> str:
    return f"The model is in {path}"


def _last_checkpoint(context: JobContext) -> Path | None:
    if not context.order.resume:
        return None
    found = sorted(context.folder.checkpoints.glob("checkpoint-*/trainer_state.json"), key=lambda f: _step_of(f.parent))
    if not found:
        context.notice("this run has no checkpoint; the training starts from its beginning", level="warning")
        return None
    return found[-1].parent


def _step_of(checkpoint: Path | None) -> int:
    return int(checkpoint.name.rpartition("-")[2]) if checkpoint is not None else 0
