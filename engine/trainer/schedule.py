"""What happens at a step boundary besides the step: commands, evaluations, checkpoints."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.frequency import Frequency
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.timing.counts import frequency_steps
from speedtui.engine.timing.eta import Eta


class TrainingSchedule(TrainerCallback):
    """Evaluates and saves as configured or commanded, and ends the training safely when asked to."""

    def __init__(
        self, context: JobContext, eta: Eta, *, eval_steps: int | None, checkpoint: Frequency, steps_per_epoch: int,
    ) -> None:  # fmt: skip
        """`eval_steps`: None for never; the last step is evaluated too where there is any evaluation."""
        self._context = context
        self._eta = eta
        self._eval_steps = eval_steps
        self._checkpoint_steps = frequency_steps(checkpoint, steps_per_epoch)
        self._checkpoint_seconds = checkpoint.seconds
        self._last_checkpoint = time.monotonic()
        self._evaluate_now = False
        self._save_now = False
        self.stopped: JobStopped | None = None
        """Why the training ended before its last step."""
        context.handlers[c.Evaluate] = self._on_evaluate_command
        context.handlers[c.Checkpoint] = self._on_checkpoint_command

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        try:
            self._context.poll()
        except JobStopped as stopped:
            self.stopped = stopped
            control.should_training_stop, control.should_save = True, stopped.save
            return
        last = state.global_step >= state.max_steps
        due = self._eval_steps is not None and (last or state.global_step % self._eval_steps == 0)
        control.should_evaluate = due or self._evaluate_now
        control.should_save = self._save_due(state.global_step) and not last
        self._evaluate_now = self._save_now = False
        self._count_remaining(state.global_step, state.max_steps)

    def evaluated(self, step: int, loss: float | None, seconds: float, rows: int) -> None:
        """An evaluation ended."""
        self._eta.eval_seconds = seconds
        self._context.emit(
            e.EvaluationCompleted(t=self._context.t, step=step, loss=loss, seconds=round(seconds, 6), rows=rows)
        )

    def saved(self, step: int, path: Path, seconds: float, *, final: bool = False) -> None:
        """A checkpoint or the final model is on disk."""
        self._last_checkpoint = time.monotonic()
        self._eta.save_seconds = seconds
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        self._context.emit(
            e.CheckpointSaved(
                t=self._context.t, step=step, path=str(path), bytes=size, seconds=round(seconds, 6), final=final
            )
        )

    def _save_due(self, step: int) -> bool:
        if self._save_now:
            return True
        if self._checkpoint_steps is not None:
            return step % self._checkpoint_steps == 0
        seconds = self._checkpoint_seconds
        return seconds is not None and time.monotonic() - self._last_checkpoint >= seconds

    def _count_remaining(self, step: int, total: int) -> None:
        every = self._eval_steps
        self._eta.remaining_evals = 0 if every is None else max(-(-total // every) - step // every, 0)
        saves = self._checkpoint_steps
        self._eta.remaining_saves = 1 + (0 if saves is None else total // saves - step // saves)

    def _on_evaluate_command(self, command: c.AnyCommand) -> str:
        self._evaluate_now = True
        return "after this step"

    def _on_checkpoint_command(self, command: c.AnyCommand) -> str:
        self._save_now = True
        return "after this step"
