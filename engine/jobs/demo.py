"""The job `demo`: material made on the spot, a quick study, a plan from it, then a training with the winner."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.context.context import JobContext
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.jobs.plan import Planning
from speedtui.engine.jobs.result import JobResult
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
    tuning.study.close()
    Planning(context, tuning).make()
    candidate, result = tuning.study.candidates[best], tuning.study.results[best]
    settings = apply_candidate(candidate, context.settings)
    workload = tuning.runner.load(settings)
    return train(
        context, settings, workload, tuning.runner.device, named=list(candidate.values), trial=best,
        estimate=result.estimate.without_loading() if result.estimate is not None else None, since=context.t,
    )  # fmt: skip
