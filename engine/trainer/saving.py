"""Checkpoints and the final model of a training: whole, or not there."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from torch import nn
from transformers import TrainerState

from speedtui.engine import events as e
from speedtui.engine.checkpoint.facts import CheckpointFacts
from speedtui.engine.checkpoint.files import remove
from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.store import CheckpointStore, aside_of, publish
from speedtui.engine.context.context import JobContext
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.timing.eta import Eta
from speedtui.engine.trainer.finite import FiniteWatch
from speedtui.engine.trainer.schedule import TrainingSchedule


class CheckpointSaver:
    """Writes aside, proves, puts in place. What a disk refuses costs a training nothing but the attempt."""

    def __init__(
        self, context: JobContext, schedule: TrainingSchedule, eta: Eta, store: CheckpointStore, watch: FiniteWatch
    ) -> None:
        self._context = context
        self._schedule = schedule
        self._eta = eta
        self.store = store
        self._watch = watch

    def checkpoint(self, model: nn.Module, state: TrainerState, write: Callable[[], None]) -> None:
        """Saves what `write` writes to the store's `staging`; where the disk refuses it, it is tried again later.

        So it is where the model is not finite: the older checkpoints are the way back.
        """
        clock, step, reason = self._context.phases, state.global_step, self._schedule.save_reason
        doubt = self._watch.doubt(model)
        if doubt:
            self._schedule.save_failed(step, doubt)
            return
        started, before = working_seconds(), clock.seconds("write")
        self._eta.began("checkpoint", self._context.t)
        try:
            with clock.phase("checkpoint"):
                self.store.begin(step)
                with clock.phase("write"):
                    write()
                facts = self._facts(model, state, reason)
                with clock.phase("write"):
                    saved = self.store.commit(step, facts)
        except Exception as error:
            refusal = self.store.refusal(error)
            self.store.abandon()
            if refusal is None:
                raise
            self._schedule.save_failed(step, refusal)
            return
        self._schedule.saved(
            e.CheckpointSaved(
                t=self._context.t, step=step, path=str(saved.path), bytes=saved.bytes,
                seconds=round(working_seconds() - started, 6),
                write_seconds=round(clock.seconds("write") - before, 6), reason=reason,
            )
        )  # fmt: skip

    def final(self, step: int, target: Path, write: Callable[[str], None]) -> e.CheckpointSaved:
        """Puts the model that `write` writes to a folder in its place.

        Raises:
            OSError: it cannot be written; the one before is as it was.
        """
        clock, started = self._context.phases, working_seconds()
        self._eta.began("final", self._context.t)
        aside = aside_of(target)
        try:
            with clock.phase("checkpoint"):
                with clock.phase("write"):
                    write(str(aside))
                size = publish(aside, target)
        except Exception as error:
            refusal = self.store.refusal(error)
            remove(aside)  # half a model would keep the disk full
            if refusal is None:
                raise
            raise OSError(refusal) from error
        return e.CheckpointSaved(
            t=self._context.t, step=step, path=str(target), bytes=size,
            seconds=round(working_seconds() - started, 6), final=True,
        )  # fmt: skip

    def best(self, last_step: int) -> tuple[int, Path] | None:
        """(step, checkpoint) of the best evaluation; None where that is the last step's model or not there any more."""
        step = self._schedule.best.step
        if step is None or step == last_step:
            return None
        path = self.store.folder / f"checkpoint-{step}"
        if not path.is_dir():
            self._context.notice(f"the best model, of step {step}, is not there any more; the last one is left")
            return None
        return step, path

    def _facts(self, model: nn.Module, state: TrainerState, reason: e.SaveReason) -> CheckpointFacts:
        return CheckpointFacts(
            step=state.global_step, total_steps=state.max_steps, model=model_fingerprint(model), saved_at=time.time(),
            reason=reason, schedule=self._schedule.state(),
        )  # fmt: skip
