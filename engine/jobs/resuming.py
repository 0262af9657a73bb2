"""What a resumed training goes on from: the checkpoint, what is said about the others, what earlier workers did."""

from __future__ import annotations

import msgspec
from torch import nn

from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.store import CheckpointStore, Found
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import JobError
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.schedule.count import Made
from speedtui.engine.schedule.rules import LOSS
from speedtui.engine.state.series import Losses


def find_checkpoint(context: JobContext, store: CheckpointStore, model: nn.Module) -> Found | None:
    """Where a resumed training goes on; what had to be passed over is said. None: it starts from its beginning."""
    found = store.newest(model_fingerprint(model), until=_good_until(context, store))
    for path, flaw in store.passed_over:
        instead = f"step {found.facts.step} is taken" if found is not None else "there is no older one"
        context.notice(f"{path.name} cannot be used: {flaw}; {instead}", level="warning")
    if found is None:
        context.notice("this run has no whole checkpoint; the training starts from its beginning", level="warning")
    return found


def checkpoint_of(step: int, context: JobContext, store: CheckpointStore, model: nn.Module) -> Found:
    """The one that was just saved, after this step.

    Raises:
        JobError: it cannot be read.
    """
    found = store.newest(model_fingerprint(model))
    if found is None or found.facts.step != step:
        reason = f"the checkpoint of step {step}, from which it was to go on, cannot be read"
        raise JobError(reason, how_to_go_on(context.folder, context.order))
    return found


def _good_until(context: JobContext, store: CheckpointStore) -> int | None:
    """Where an earlier worker's training diverged: the step after which no checkpoint is gone on from."""
    before = context.before.training
    diverged = before.nonfinite if before is not None else None
    if diverged is None or not diverged.certain:
        return None
    good = diverged.checkpoint or 0
    for step in store.drop_after(good):
        context.notice(f"checkpoint-{step} is removed: it diverged from there", level="warning")
    return good


class EarlierWorkers(msgspec.Struct, frozen=True, kw_only=True):
    """All of them together; nothing for the first one."""

    began_at: float
    """The run's time when the first one's training began."""
    seconds: float = 0.0
    """That they trained, evaluations and checkpoints included."""
    steps_again: int = 0
    """Steps that are made a second time, of this worker too where it went back."""
    full: int = 0
    """Full evaluations."""
    loss: int = 0
    """Evaluations of the loss alone."""
    saves: int = 0
    """Checkpoints, without a final model."""
    losses: Losses

    def going_back(self, steps: int) -> EarlierWorkers:
        """With so many steps that this worker makes again."""
        return msgspec.structs.replace(self, steps_again=self.steps_again + steps)

    def judged(self, by: str) -> int:
        """Evaluations that `schedule.best_by` could judge."""
        return self.full + (self.loss if by == LOSS else 0)

    def made(self, made: Made) -> Made:
        """With what this worker has made."""
        return msgspec.structs.replace(
            made, full=made.full + self.full, loss=made.loss + self.loss, saves=made.saves + self.saves
        )


def earlier_workers(context: JobContext, first_step: int) -> EarlierWorkers:
    """`first_step`: steps that this worker goes on after."""
    before = context.before.training if context.order.resume else None
    if before is None:
        return EarlierWorkers(began_at=context.t, losses=Losses())
    losses = Losses(*before.loss_ends)
    losses.rewind(first_step)
    return EarlierWorkers(
        began_at=before.started_at,
        seconds=before.trained_seconds,
        steps_again=before.steps_again + max(before.step - first_step, 0),
        full=before.full_evaluations.count,
        loss=before.loss_evaluations.count,
        saves=before.checkpoint_totals.count - (before.finished is not None and before.finished.model_path is not None),
        losses=losses,
    )
