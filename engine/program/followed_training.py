"""One training of a program's own transformers.Trainer, as the run's log tells it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.context.context import Handler, JobStopped, Refused
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.step_record import BatchTokens
from speedtui.engine.program.arguments import settings_of
from speedtui.engine.program.process_run import ProcessRun
from speedtui.engine.timing.eta import Eta
from speedtui.engine.timing.pending import Interruption
from speedtui.engine.workload.base import token_counts

ETA_SECONDS = 1.0
"""Between two estimates."""
SPEED = ("_runtime", "_samples_per_second", "_steps_per_second", "_model_preparation_time")
"""Ends of the names among an evaluation's metrics that tell of its speed."""


def unharmed(ours: Callable[..., None]) -> Callable[..., None]:
    """A fault of ours is told, and the program's training goes on."""

    @functools.wraps(ours)
    def tried(self: FollowedTraining, *args: Any) -> None:
        try:
            ours(self, *args)
        except Exception as error:
            self.tell_fault(error)

    return tried


class FollowedTraining:
    """One call of `train`."""

    def __init__(self, run: ProcessRun, trainer: Any) -> None:
        self._run = run
        self._context = context = run.context
        self._trainer = trainer
        self._name = type(trainer).__name__
        self._began = working_seconds()
        self._eta: Eta | None = None
        self._eta_due = 0.0
        self.evaluating = False
        self.rows = 0
        """Of the last evaluation."""
        self.meter = Meter(
            context.phases, context.clock, self._observe, token_counts=batch_tokens,
            device=device_clock(trainer.args.device),
        )  # fmt: skip
        self._handlers: dict[type[c.AnyCommand], Handler] = {c.Evaluate: self._on_evaluate, c.Checkpoint: self._on_save}
        if trainer.args.world_size > 1:  # which this process would do alone, while the others wait for it
            self._handlers = dict.fromkeys((c.Pause, c.Stop, c.Cancel, c.Evaluate, c.Checkpoint), _refuse_together)
        context.handlers |= self._handlers
        context.log.add_source(self.meter.pump)
        context.log.add_source(self._tell_eta)

    def tell_fault(self, error: Exception) -> None:
        """Once for each kind."""
        self._context.warn_once(f"a part of the metering has stopped: {type(error).__name__}: {error}")

    # -- training thread ---------------------------------------------------------------------------

    @unharmed
    def begun(self) -> None:
        """Before the first step: the steps, the schedule and the model are known."""
        context, trainer = self._context, self._trainer
        settings = settings_of(trainer)
        self._run.tell_settings(settings)
        state, args = trainer.state, trainer.args
        epoch_steps = max(round(state.max_steps / max(state.num_train_epochs, 1)), 1)
        self._eta = Eta(
            total_steps=state.max_steps, first_step=state.global_step, epoch_steps=epoch_steps,
            schedule=settings.schedule, evaluates=trainer.eval_dataset is not None, window=context.order.window,
            wall=context.clock.wall, sizes=None, estimate=None, since=context.t,
            early=False,
        )  # fmt: skip
        context.emit(self._loaded())
        context.emit(
            e.TrainingStarted(
                t=context.t, total_steps=state.max_steps, epochs=float(args.num_train_epochs),
                micro_batch_size=args.per_device_train_batch_size, grad_accum_steps=args.gradient_accumulation_steps,
                label=self._name, first_step=state.global_step,
            ),
            flush=True,
        )  # fmt: skip
        context.notice(self._found(settings.schedule))

    def _loaded(self) -> e.ModelLoaded:
        trainer = self._trainer
        parameters = list(trainer.model.parameters())
        return e.ModelLoaded(
            t=self._context.t, model=self._context.settings.model.path or "",
            parameters=sum(p.numel() for p in parameters),
            trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
            seconds=self._context.phases.seconds("load"), train_rows=_rows(trainer.train_dataset),
            eval_rows=_rows(trainer.eval_dataset), longest_tokens=None, mean_tokens=None,
        )  # fmt: skip

    def _found(self, schedule: ScheduleSettings) -> str:
        """`transformers.Trainer (SFTTrainer), 1,875 steps, evaluates every 200 steps, saves every 500 steps`."""
        own = "" if self._name == Trainer.__name__ else f" ({self._name})"
        parts = [f"transformers.Trainer{own}", f"{self._trainer.state.max_steps:,} steps"]
        for verb, every in (("evaluates", schedule.eval_every), ("saves", schedule.checkpoint_every)):
            often = "the best" if verb == "saves" and schedule.save_only_best else f"every {every}"
            parts.append(f"{verb} never" if every == "never" else f"{verb} {often}")
        return ", ".join(parts)

    @unharmed
    def after_step(self) -> None:
        """Follows what has come; a stop is the trainer's own, at this boundary."""
        try:
            self._context.poll()
        except JobStopped as stopped:
            control = self._trainer.control
            control.should_training_stop = True
            control.should_save = control.should_save or stopped.save
            self._context.forget_stop()  # it is of this training; the program may have another one

    def _on_evaluate(self, command: c.AnyCommand) -> str:
        self._trainer.control.should_evaluate = True
        return "after this step"

    def _on_save(self, command: c.AnyCommand) -> str:
        self._trainer.control.should_save = True
        return "after this step"

    def interrupted(self, what: Interruption) -> float:
        """An evaluation or a save begins; the time, for when it ends."""
        if self._eta is not None:
            self._eta.began(what, self._context.t)
        return working_seconds()

    @unharmed
    def evaluated(self, began: float, metrics: dict[str, float]) -> None:
        """An evaluation has ended with these metrics."""
        seconds = working_seconds() - began
        if self._eta is not None:
            self._eta.evaluated("full", seconds, {"eval": seconds})
        numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
        loss = numbers.pop("eval_loss", None)
        figures = {
            name.removeprefix("eval_"): value for name, value in numbers.items()
            if name != "epoch" and not name.endswith(SPEED)
        }  # fmt: skip
        self._context.emit(
            e.EvaluationCompleted(
                t=self._context.t, step=self._trainer.state.global_step, loss=loss, seconds=round(seconds, 6),
                rows=self.rows, metrics=figures, phases={"eval": round(seconds, 6)},
            )
        )  # fmt: skip

    @unharmed
    def saved(self, began: float) -> None:
        """A checkpoint is on disk."""
        seconds = working_seconds() - began
        if self._eta is not None:
            self._eta.saved(seconds)
        step = self._trainer.state.global_step
        path = Path(self._trainer._get_output_dir(trial=None), f"checkpoint-{step}").resolve()
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        self._context.emit(
            e.CheckpointSaved(t=self._context.t, step=step, path=str(path), bytes=size, seconds=round(seconds, 6))
        )

    @unharmed
    def end(self, whole: bool) -> None:
        """`train` has returned, or has raised, of which the program or its end tells."""
        context, state = self._context, self._trainer.state
        self.meter.close(context.log)
        context.log.remove_source(self.meter.pump)
        context.log.remove_source(self._tell_eta)
        context.phases.switch_to("other")
        for command in self._handlers:
            context.handlers.pop(command, None)
        if not whole or self._eta is None:
            return
        first_loss, last_loss = self._eta.losses()
        context.emit(
            e.TrainingFinished(
                t=context.t, steps=state.global_step, seconds=round(working_seconds() - self._began, 3),
                first_loss=first_loss, last_loss=last_loss, model_path=None,
                reason="steps" if state.global_step >= state.max_steps else "stop", total_steps=state.max_steps,
            ),
            flush=True,
        )  # fmt: skip

    # -- pump thread -------------------------------------------------------------------------------

    def _observe(self, step: e.StepCompleted) -> None:
        self._context.emit(step)
        if self._eta is not None:
            self._eta.observe(step)

    def _tell_eta(self, urgent: bool) -> None:
        now = time.monotonic()
        if self._eta is not None and now >= self._eta_due:
            self._eta_due = now + ETA_SECONDS
            self._context.emit(self._eta.update(self._context.t))


def batch_tokens(batch: object) -> BatchTokens:
    """What a batch counts, as any collator makes it; None where it has no rows of tokens under the usual names."""
    if not isinstance(batch, Mapping):
        return None
    found = (batch.get("attention_mask"), batch.get("input_ids"))
    usual = all(value is None or (isinstance(value, torch.Tensor) and value.ndim == 2) for value in found)
    return token_counts(batch) if usual else None


def _refuse_together(command: c.AnyCommand) -> str:
    raise Refused("several processes train together, and none can do that alone; ctrl-C reaches them all")


def _rows(dataset: Any) -> int:
    """0 where it has no length, as a stream has none, or there is none; of several sets by name all together."""
    if isinstance(dataset, dict):
        return sum(map(_rows, dataset.values()))
    sized = hasattr(dataset, "__len__")
    return len(dataset) if sized else 0
