"""What earlier workers of a training have done of it: its report is of all of them."""

from __future__ import annotations

import msgspec

from speedtui.engine.context.context import JobContext
from speedtui.engine.state.losses import Losses
from speedtui.engine.timing.made import Made


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
