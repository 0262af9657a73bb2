"""The trainer of the training proper: full evaluations and fast ones, checkpoints that are whole or not there."""

from __future__ import annotations

import math
import time
import traceback
from collections.abc import Sequence, Sized
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Subset
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine import events as e
from speedtui.engine.checkpoint.facts import CheckpointFacts
from speedtui.engine.checkpoint.files import remove
from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.randomness import kept_randomness
from speedtui.engine.checkpoint.store import CheckpointStore, aside_of, publish
from speedtui.engine.context.context import JobContext
from speedtui.engine.evaluate.evaluator import Evaluator, Scores
from speedtui.engine.evaluate.rehearsal import expected_seconds, rehearsal_rows
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.anchored import AnchoredSchedule
from speedtui.engine.trainer.live import LiveSettings
from speedtui.engine.trainer.schedule import EvaluationLeft, TrainingSchedule
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.memory import is_out_of_memory

EVALUATION_PHASES = ("eval", "generate", "metric")
ANCHOR_SECONDS = 10.0
"""Between two looks at where the learning rate should end."""


class TrainingTrainer(MeteredTrainer):
    """Trains to the end that its schedule decides."""

    def __init__(
        self, *args: Any, context: JobContext, live: LiveSettings, workload: Workload, schedule: TrainingSchedule,
        eta: Eta, store: CheckpointStore, evaluator: Evaluator | None, rehearses: bool, **kwargs: Any,
    ) -> None:  # fmt: skip
        """`rehearses`: a part of a full evaluation is made before the first step."""
        super().__init__(*args, **kwargs)
        self._context = context
        self._live = live
        self._workload = workload
        self._schedule = schedule
        self._eta = eta
        self._store = store
        self.evaluator = evaluator
        """Of generation and metric; None where there is none."""
        self._rehearses = rehearses
        self._evaluated_batches = 0
        self._eval_batches: int | None = None
        self._anchor_at, self._anchored = 0.0, False
        self.add_callback(_Boundary(self))
        self.add_callback(schedule)

    # -- evaluation --------------------------------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The evaluation that the schedule decided; what happens in it leaves the training's random numbers alone."""
        started = time.perf_counter()
        before = self._phase_seconds(*EVALUATION_PHASES)
        step, kind = self.state.global_step, self._schedule.kind
        self._eta.began(kind, self._context.t)
        try:
            with kept_randomness():
                metrics = super().evaluate(*args, **kwargs)
                scores = self._scores() if kind == "full" else None
        except EvaluationLeft:
            self._schedule.leave_evaluation(step, self.control)
            return {}
        except Exception as error:
            self._tell_failed(step, error)
            return {}
        after = self._phase_seconds(*EVALUATION_PHASES)
        loss = metrics.get("eval_loss")
        evaluation = e.EvaluationCompleted(
            t=self._context.t,
            step=step,
            loss=loss if loss is not None and math.isfinite(loss) else None,
            seconds=round(time.perf_counter() - started, 6),
            rows=self._eval_rows(),
            kind=kind,
            metrics=scores.metrics if scores is not None else {},
            unscored=scores.unscored if scores is not None else 0,
            phases={
                name: round(after[name] - before[name], 6) for name in EVALUATION_PHASES if after[name] > before[name]
            },
        )
        self._schedule.evaluated(evaluation, self.control, last=step >= self.state.max_steps)
        return metrics

    def _tell_failed(self, step: int, error: Exception) -> None:
        """An evaluation that fails is no reason to lose the training."""
        traceback.print_exception(error)
        reason = "out of memory" if is_out_of_memory(error) else str(error).strip() or type(error).__name__
        text = f"the evaluation at step {step} failed: {reason.splitlines()[0]}; the training goes on"
        self._context.notice(text, level="error", hint="The traceback is in worker.log.")
        traceback.clear_frames(error.__traceback__)
        release_memory(self.args.device)

    def _scores(self, rows: Sequence[int] | None = None) -> Scores | None:
        if self.evaluator is None or not self._live.current.schedule.generate:
            return None
        model: Any = self.model
        with self.meter.clock.phase("eval"):
            return self.evaluator.score(model, self._live.current.schedule, rows)

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        """One batch of an evaluation; in between commands are followed."""
        self._evaluated_batches += 1
        self._schedule.during_evaluation("evaluating", self._evaluated_batches, self._eval_batches)
        return super().prediction_step(*args, **kwargs)

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """As transformers has it; the batches are counted for the progress."""
        self._evaluated_batches = 0
        self._eval_batches = len(dataloader) if isinstance(dataloader, Sized) else None
        return super().evaluation_loop(dataloader, *args, **kwargs)

    def rehearse(self) -> None:
        """Evaluates a few rows in full, so that what fails in it fails before anything was trained.

        Raises:
            ConfigError: the metric cannot work.
            JobStopped: somebody asked the training to end.
        """
        dataset: Any = self.eval_dataset
        if not self._rehearses or dataset is None:
            return
        rows = rehearsal_rows(self._workload, self.args.per_device_eval_batch_size)
        started, before = time.perf_counter(), self._phase_seconds(*EVALUATION_PHASES)
        try:
            with kept_randomness():
                super().evaluate(eval_dataset=Subset(dataset, rows))
                self._scores(rows)
        except EvaluationLeft:
            if self._schedule.stopped is not None:
                raise self._schedule.stopped from None
            return
        after = self._phase_seconds(*EVALUATION_PHASES)
        phases = {name: after[name] - before[name] for name in EVALUATION_PHASES if after[name] > before[name]}
        expected = expected_seconds(self._workload, rows, phases, self._live.current.schedule)
        self._eta.rehearsed(sum(expected.values()), expected)
        self._context.emit(
            e.EvaluationRehearsed(
                t=self._context.t, rows=len(rows), seconds=round(time.perf_counter() - started, 6),
                expected_seconds=round(sum(expected.values()), 3),
                phases={name: round(seconds, 6) for name, seconds in phases.items()},
            )
        )  # fmt: skip

    def _phase_seconds(self, *names: str) -> dict[str, float]:
        """Of the run up to now."""
        books = self.meter.clock.books().phases
        return {name: books.get(name, 0.0) for name in names}

    def _eval_rows(self) -> int:
        return len(self.eval_dataset) if isinstance(self.eval_dataset, Sized) else 0

    # -- checkpoints -------------------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        """Where transformers writes a checkpoint: aside."""
        return str(self._store.staging)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Writes a checkpoint aside and commits it. One that cannot be written costs nothing but the attempt."""
        step, reason = self.state.global_step, self._schedule.save_reason
        started, before = time.perf_counter(), self._phase_seconds("write")
        self._eta.began("checkpoint", self._context.t)
        try:
            with self.meter.clock.phase("checkpoint"):
                self._store.begin(step)
                with self.meter.clock.phase("write"):
                    super(MeteredTrainer, self)._save_checkpoint(model, trial)
                facts = self._facts(step, reason)
                with self.meter.clock.phase("write"):
                    saved = self._store.commit(step, facts)
        except Exception as error:
            refusal = self._refusal(error)
            self._store.abandon()
            if refusal is None:
                raise
            self._schedule.save_failed(step, refusal)
            return
        self._schedule.saved(
            e.CheckpointSaved(
                t=self._context.t, step=step, path=str(saved.path), bytes=saved.bytes,
                seconds=round(time.perf_counter() - started, 6),
                write_seconds=round(self._phase_seconds("write")["write"] - before["write"], 6),
                reason=reason,
            )
        )  # fmt: skip

    def _facts(self, step: int, reason: e.SaveReason) -> CheckpointFacts:
        model: Any = self.model
        return CheckpointFacts(
            step=step, total_steps=self.state.max_steps, model=model_fingerprint(model), saved_at=time.time(),
            reason=reason, schedule=self._schedule.state(),
        )  # fmt: skip

    def take_best(self) -> int | None:
        """Loads the best evaluation's weights where they are to be left; returns their step, None for the last."""
        best = self._schedule.best.step
        if not self._live.current.schedule.save_only_best or best is None or best == self.state.global_step:
            return None
        path = self._store.folder / f"checkpoint-{best}"
        if not path.is_dir():
            self._context.notice(f"the best model, of step {best}, is not there any more; the last one is left")
            return None
        self._load_from_checkpoint(str(path))
        return best

    def save_final(self, target: Path) -> e.CheckpointSaved:
        """Writes the model aside and puts it in its place whole.

        Raises:
            OSError: it cannot be written.
        """
        started = time.perf_counter()
        self._eta.began("final", self._context.t)
        aside = aside_of(target)
        try:
            with self.meter.clock.phase("checkpoint"):
                with self.meter.clock.phase("write"):
                    self.save_model(str(aside))
                size = publish(aside, target)
        except Exception as error:
            refusal = self._refusal(error)
            remove(aside)  # half a model would keep the disk full
            if refusal is None:
                raise
            raise OSError(refusal) from error
        return e.CheckpointSaved(
            t=self._context.t, step=self.state.global_step, path=str(target), bytes=size,
            seconds=round(time.perf_counter() - started, 6), final=True, reason="stop",
        )  # fmt: skip

    def _refusal(self, error: Exception) -> str | None:
        """What the disk refused, in words; None where it was something else.

        torch and safetensors turn the system's error into one of their own, so the disk is asked again.
        """
        return self._store.refusal(error)

    # -- learning rate -----------------------------------------------------------------------------

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> Any:
        """As the settings say; it can be made to end with the time instead of the steps."""
        if self.lr_scheduler is None:
            used: Any = optimizer or self.optimizer
            schedule: Any = AnchoredSchedule(
                used, kind=self._live.current.train.lr_schedule,
                warmup_steps=self.args.get_warmup_steps(num_training_steps), total_steps=num_training_steps,
            )  # fmt: skip
            self.lr_scheduler = schedule
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def keep_rate_to_deadline(self) -> None:
        """Where the settings want it and the deadline comes before the last step: ends the schedule with the time."""
        now = time.monotonic()
        if not self._live.current.schedule.lr_ends_at_deadline or now < self._anchor_at:
            return
        remaining = self.state.max_steps - self.state.global_step
        reachable = self._eta.reachable_steps(self._context.clock.started_at + self._context.t)
        if reachable is None:
            return
        self._anchor_at = now + ANCHOR_SECONDS
        if reachable >= remaining or remaining < 1:
            return
        if not self._anchored:
            self._anchored = True
            text = f"about {reachable} of {remaining} steps fit before the deadline: the learning rate ends there"
            self._context.notice(text, level="warning")
        self.anchor(max(reachable, 1))

    def anchor(self, remaining_steps: int) -> None:
        """The learning rate is to have run its schedule after so many more steps."""
        if isinstance(self.lr_scheduler, AnchoredSchedule):
            self.lr_scheduler.anchor(remaining_steps)


class _Boundary(TrainerCallback):
    """What the trainer itself does before the first step and between two."""

    def __init__(self, trainer: TrainingTrainer) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer.rehearse()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._trainer.keep_rate_to_deadline()
