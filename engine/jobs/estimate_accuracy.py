"""After a training: what it took beside what was expected, kept for the next estimate, and what to change."""

from __future__ import annotations

from speedtui.engine import events as e
from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.rule_input import Actual, RuleInput
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.history.keys import evaluating_settings
from speedtui.engine.jobs.job_history import JobHistory
from speedtui.engine.plan_types import ProfileRow
from speedtui.engine.search.candidates import label
from speedtui.engine.timing.costs import RunCosts
from speedtui.engine.timing.made import Made


def look_back(
    context: JobContext, settings: Settings, estimate: Estimate | None, actual_seconds: float | None, made: Made,
    costs: RunCosts, *, evaluations: int, at_a_time: int, alone: bool,
) -> None:  # fmt: skip
    """`actual_seconds`: of what the estimate is of; None where only a part of it was run. `made`: by all workers.

    `costs`: of an evaluation, over the full ones of this worker, which `evaluations` counts; `at_a_time`: rows that
    were answered together. `alone`: the run was this training and nothing else, so that its books are the training's.
    """
    if evaluations and evaluating_settings(settings) == evaluating_settings(context.settings):  # else it is a mixture
        JobHistory(context).evaluations(settings, costs, count=evaluations, at_a_time=at_a_time)
    if actual_seconds is None:
        return
    if estimate is not None:
        JobHistory(context).outcome(settings, estimate.p50_seconds, estimate.p90_seconds, actual_seconds)
    case = RuleInput(
        settings=settings,
        row=_row(context, settings, estimate),
        now=context.clock.wall(context.t) - actual_seconds,
        window=context.order.window,
        actual=Actual(seconds=actual_seconds, phases=_phases(context) if alone else {}, made=made if alone else None),
    )
    for advice in advise(case):
        context.emit(e.AdviceGiven(t=context.t, advice=advice))


def _row(context: JobContext, settings: Settings, estimate: Estimate | None) -> ProfileRow:
    train = settings.train
    return ProfileRow(
        profile=context.order.profile or "",
        description="",
        label=label(settings, context.order.named),
        values={},
        micro_batch_size=train.micro_batch_size,
        grad_accum_steps=train.effective_batch_size // train.micro_batch_size,
        max_length=settings.data.max_length,
        epochs=train.epochs,
        estimate=estimate,
        source=estimate.source if estimate is not None else "model",
    )


def _phases(context: JobContext) -> dict[str, float]:
    """Of all workers, without the time between them."""
    return {name: seconds for name, seconds in context.phases.books().phases.items() if name != "away"}
