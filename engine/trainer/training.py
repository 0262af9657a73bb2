"""The trainer of the training proper: it evaluates, saves and sets the learning rate as its schedule decides."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.anchored import AnchoredSchedule
from speedtui.engine.trainer.diverging import Diverging
from speedtui.engine.trainer.evaluating import Evaluating
from speedtui.engine.trainer.finite import Divergence
from speedtui.engine.trainer.live_settings import LiveSettings
from speedtui.engine.trainer.metered_steps import MeteredSteps
from speedtui.engine.trainer.sampled_busy import SampledBusy
from speedtui.engine.trainer.saving import CheckpointSaver
from speedtui.engine.trainer.schedule import TrainingSchedule
from speedtui.engine.trainer.trainer import MeteredTrainer

ANCHOR_SECONDS = 10.0
"""Between two looks at where the learning rate should end."""


class TrainingTrainer(MeteredTrainer):
    """Trains to the end that its schedule decides."""

    def __init__(
        self, *args: Any, context: JobContext, live: LiveSettings, schedule: TrainingSchedule, eta: Eta,
        evaluating: Evaluating, saving: CheckpointSaver, diverging: Diverging, busy: SampledBusy, rehearses: bool,
        **kwargs: Any,
    ) -> None:  # fmt: skip
        """`rehearses`: a part of a full evaluation is made before the first step."""
        super().__init__(*args, notice=lambda text: context.notice(text, level="warning"), **kwargs)
        self._context = context
        self._live = live
        self._schedule = schedule
        self._eta = eta
        self.evaluating = evaluating
        self._saving = saving
        self._diverging = diverging
        self._busy = busy
        self._rehearses = rehearses
        self._anchor_at = 0.0
        self._told: set[str] = set()
        self._eval_wanted = self.args.per_device_eval_batch_size

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """As transformers has it; a profile that is going on at an end of any kind is left."""
        try:
            return super().train(*args, **kwargs)
        finally:
            self._busy.close()

    # -- boundaries --------------------------------------------------------------------------------

    def before_first_step(self) -> None:
        """A few rows are evaluated in full; an anchor to another deadline than today's is released."""
        model: Any = self.model
        self._diverging.require_finite(model)
        self._take_up_rate()
        if self._rehearses:
            loss_pass = super().evaluate
            self.evaluating.rehearse(model, lambda dataset: loss_pass(eval_dataset=dataset))
        self._eta.begins(self._context.t)

    def after_step(self) -> None:
        """The schedule decides what comes now."""
        model: Any = self.model
        step, total = self.state.global_step, self.state.max_steps
        self._live.step = step
        self._schedule.after_step(step, total, self.control)
        self._diverging.after_step(self.meter, model, step, total, self.control)
        self._busy.after_step(step, total, self.control)
        self._keep_rate_to_deadline()

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> Any:
        """The micro-batches of a step; the first ones of an epoch end the gap before it."""
        begins = self.meter.epoch_begins
        batches = super().get_batch_samples(*args, **kwargs)
        if begins:
            self._schedule.epoch_begun(self.state.global_step)
        return batches

    # -- evaluation --------------------------------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """The evaluation that is due."""
        model: Any = self.model
        loss_pass = super().evaluate
        self._size_evaluation()
        metrics = self.evaluating.evaluate(model, self.state, self.control, lambda: loss_pass(*args, **kwargs))
        if not metrics:
            release_memory(self.args.device)  # it was left or failed, perhaps for want of memory
        return metrics

    def _size_evaluation(self) -> None:
        """The batch as the settings are now; a smaller one that was found to fit stays until they ask for another."""
        wanted = self.evaluating.rows_at_a_time
        if wanted != self._eval_wanted:
            self._eval_wanted = self.args.per_device_eval_batch_size = wanted

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """As transformers has it; the batches are counted."""
        self.evaluating.begins(dataloader)
        return super().evaluation_loop(dataloader, *args, **kwargs)

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        """One batch of an evaluation."""
        self.evaluating.batch()
        return super().prediction_step(*args, **kwargs)

    # -- checkpoints -------------------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        """Where transformers writes a checkpoint: aside."""
        return str(self._saving.store.staging)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        saved: Any = self.model
        write = super(MeteredSteps, self)._save_checkpoint
        self._saving.checkpoint(saved, self.state, lambda: write(model, trial))
        if self._schedule.rebuild:  # and not before the checkpoint is there that it goes on from
            self.control.should_training_stop = True

    @property
    def diverged(self) -> Divergence | None:
        """Why it failed; None where it did not diverge."""
        return self._diverging.watch.certain if self._schedule.ended == "diverged" else None

    def save_final(self, target: Path) -> tuple[e.CheckpointSaved | None, int | None]:
        """Leaves the model, the best one where only that is saved; also returns its step, None for the last one's.

        Of a training that has diverged it is the last finite checkpoint's; where there is none nothing is left.

        Raises:
            OSError: it cannot be written.
        """
        model: Any = self.model
        step = self.state.global_step
        diverged = self._diverging.at_the_end(model, step) is not None
        only_best = self._live.current.schedule.save_only_best
        kept = self._saving.best(step) if only_best else None
        if kept is None and diverged:
            found = self._diverging.last_good()
            if found is None:
                return None, None
            kept = found.facts.step, found.path
        if kept is not None:
            self._load_from_checkpoint(str(kept[1]))
        return self._saving.final(step, target, self.save_model), kept[0] if kept is not None else None

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

    def _take_up_rate(self) -> None:
        """A resumed training may have been given other time; what is left of an anchor to the old one is nothing."""
        schedule, window = self.lr_scheduler, self._context.order.window
        if isinstance(schedule, AnchoredSchedule) and (window is None or schedule.until != window.safe_until):
            schedule.release()

    def _keep_rate_to_deadline(self) -> None:
        """Where the deadline comes before the last step, has the schedule end with the time; otherwise with the steps.

        Not before the pace is known: of the first steps too many minutes or too few would be made of.
        """
        schedule, window, now = self.lr_scheduler, self._context.order.window, time.monotonic()
        if not isinstance(schedule, AnchoredSchedule):
            return
        if window is None or not self._live.current.schedule.lr_ends_at_deadline:
            schedule.release()
            return
        if now < self._anchor_at or not self._eta.steady:
            return
        self._anchor_at = now + ANCHOR_SECONDS
        step, total = self.state.global_step, self.state.max_steps
        reachable = self._eta.reachable_steps(self._context.t, step)
        if reachable is None or step >= total:
            return
        if step + reachable < total:
            text = f"about {reachable} of {total - step} steps fit before the deadline: the learning rate ends there"
            self._tell_once("anchored", text, "warning")
            schedule.anchor(reachable, window.safe_until)
        elif schedule.anchored:
            self._tell_once("released", "all steps fit before the deadline: the learning rate ends with the last one")
            schedule.release()

    def _tell_once(self, what: str, text: str, level: e.Level = "info") -> None:
        if what not in self._told:
            self._told.add(what)
            self._context.notice(text, level=level)

    def scale_rate(self, factor: float) -> None:
        """The learning rate is so many times what it was, from the next step on."""
        if isinstance(self.lr_scheduler, AnchoredSchedule):
            self.lr_scheduler.scale(factor)

    def resize(self, total_steps: int) -> None:
        """The training has another number of steps; what is left of its learning rate's schedule goes with them."""
        self.state.max_steps = total_steps
        if isinstance(self.lr_scheduler, AnchoredSchedule):
            self.lr_scheduler.resize(total_steps)
