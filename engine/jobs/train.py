"""The job `train`: the training proper, from load to the saved model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.hardware.limits import too_many_workers
from speedtui.engine.jobs.device import settle_attention, settle_device
from speedtui.engine.jobs.first_load import first_load
from speedtui.engine.jobs.result import JobResult
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.report.words import clock
from speedtui.engine.units import format_span
from speedtui.engine.workload.imports import uncollected

if TYPE_CHECKING:
    import torch

    from speedtui.engine.workload.base import Workload


def run_train(context: JobContext) -> JobResult:
    """Loads and trains.

    Raises:
        JobStopped: it was asked to end; a checkpoint is saved unless it was a cancel.
        NothingFits: there is no memory for the model.
        SpeedtuiError: the model or data cannot be used, or the training failed.
    """
    context.progress("importing torch", 0, None)
    with context.phases.phase("load"):
        with uncollected():
            from speedtui.engine.timing.possible import require_possible
            from speedtui.engine.trainer.loaded import tell_loaded
            from speedtui.engine.workload.load import load_workload
            from speedtui.engine.workload.precision import require_device

        settle_attention(context)
        settings = _as_changed(context)
        started = working_seconds()
        device = settle_device(context)
        require_device(settings, device)
        with first_load(settings, device):
            workload = load_workload(settings, device=device, report=context.progress)
    tell_loaded(context, workload, settings, working_seconds() - started)
    order = context.order
    require_possible(settings, workload, begun=order.resume)
    _tell_window(context)
    if settings.search.memory_limit:
        limit = f"search.memory_limit {settings.search.memory_limit}"
        context.notice(f"{limit} is for trials and plans: this training takes what it needs")
    return train(context, settings, workload, device, named=order.named, trial=order.trial,
                 estimate=order.estimate, since=0.0)  # fmt: skip


def train(
    context: JobContext, settings: Settings, workload: Workload, device: torch.device, *, named: Sequence[str],
    trial: int | None, estimate: Estimate | None, since: float,
) -> JobResult:  # fmt: skip
    """Trains a loaded workload with these settings.

    `named`: what its label tells besides; `since`: the run's time that `estimate` counts from.

    Raises:
        JobStopped: as `run_train`.
        JobError: out of memory, or the training raised.
    """
    from speedtui.engine.export.live import tracking

    with uncollected():
        from speedtui.engine.jobs.training import Training

    context.warn_once(too_many_workers(settings.train.loader_workers))
    with tracking(context, estimate=estimate, since=since):
        training = Training(
            context, settings, workload, device, named=named, trial=trial, estimate=estimate, since=since
        )
        return training.run()


def _tell_window(context: JobContext) -> None:
    """A deadline that nobody typed, or that was typed and is not plain."""
    window = context.order.window
    if window is not None and window.source:
        context.notice(
            f"the job ends at {clock(window.deadline, context.clock.started_at)} ({window.source}): the deadline, less "
            f"a margin of {format_span(window.margin_seconds)}"
        )
    if window is not None and window.note:
        context.notice(f"the deadline: {window.note}", level="warning")


def _as_changed(context: JobContext) -> Settings:
    """The run's settings, with what was changed in them before this worker, and what is with it."""
    changed = {**context.before.laid_over, **context.order.changes}
    if not changed:
        return context.settings
    return with_values(context.settings, changed, "changed while the run went on")
