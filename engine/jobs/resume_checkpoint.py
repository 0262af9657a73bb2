"""The checkpoint that a training goes on from, and what has to be said about the others."""

from __future__ import annotations

from torch import nn

from speedtui.engine.checkpoint.fingerprint import model_fingerprint
from speedtui.engine.checkpoint.store import CheckpointStore, Found
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import JobError
from speedtui.engine.jobs.resume_hint import how_to_go_on


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
