"""The job `demo`: material made on the spot, a quick study, a plan from it, then a training with the winner."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.context.context import JobContext
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.jobs.execute import JobResult
from speedtui.engine.jobs.plan import Planning
from speedtui.engine.jobs.train import train
from speedtui.engine.jobs.tune import Tuning
from speedtui.engine.search.candidates import apply_candidate


def run_demo(context: JobContext) -> JobResult:
    """Tunes, plans and trains in one run, on a model that is loaded once.

    Raises:
        JobStopped: it was asked to end.
        NothingFits: every candidate ran out of memory.
    """
    data = context.settings.data.train
    assert data is not None
    with context.phases.phase("load"):
        prepare(Path(data).parent, context.progress)
    tuning = Tuning(context)
    tuning.start()
    tuning.run_queue()
    best = tuning.study.best()
    if best is None:
        return tuning.result()
    Planning(context, tuning).make()
    candidate, result = tuning.study.candidates[best], tuning.study.results[best]
    settings = apply_candidate(candidate, context.settings)
    workload = tuning.runner.load(settings)
    return train(
        context, settings, workload, tuning.runner.device, label=candidate.label, trial=best,
        estimate=_without_loading(result.estimate), since=context.t,
    )  # fmt: skip


def _without_loading(estimate: Estimate | None) -> Estimate | None:
    """The model is in memory already."""
    if estimate is None:
        return None
    load = estimate.terms.get("load", 0.0)
    return msgspec.structs.replace(
        estimate, p50_seconds=estimate.p50_seconds - load, p90_seconds=estimate.p90_seconds - load,
        terms={**estimate.terms, "load": 0.0},
    )  # fmt: skip
