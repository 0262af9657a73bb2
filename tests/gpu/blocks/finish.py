"""When a training will be done, said before it starts and on its way, against when it was."""

from __future__ import annotations

import time

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.jobs.train import train
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from tests.gpu.material import MICRO, SMALL, attempt, settings_for
from tests.gpu.onsite import Site

STEPS, REHEARSED_STEPS = 250, 12
SHARES = (0.10, 0.25, 0.50)
OFF = 0.05


def run(site: Site) -> None:
    """A trial, then the very run that it speaks of, with one evaluation and two saves on the way."""
    steps = site.pick(STEPS, REHEARSED_STEPS)
    schedule = ScheduleSettings(eval_every=f"{steps // 2} steps", checkpoint_every=f"{steps // 3} steps")
    settings = settings_for(site, SMALL, schedule=schedule, evaluated=site.pick(200, 16), max_steps=steps,
                            micro_batch_size=site.pick(16, 4))  # fmt: skip
    with site.runner(settings) as runner:
        result = attempt(runner, 0, {MICRO: settings.train.micro_batch_size})
        if result.status is not TrialStatus.OK or result.estimate is None:
            raise RuntimeError(f"the trial: {result.status.value} {result.reason}")
        expected = result.estimate.p50_seconds - (runner.load_seconds or 0.0)
        workload = runner.load(settings)
        folder = site.folder / "finish"
        folder.mkdir()
        log = EventLog(folder / "events.jsonl", RunClock())
        order = Order(job="train", started_at=time.time())
        try:
            context = JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
            began = context.t
            train(context, settings, workload, site.device, named=(), trial=None, estimate=None, since=0.0)
        finally:
            log.close()
    known = list(read_events(folder / "events.jsonl"))
    end = next(event.t for event in known if isinstance(event, e.TrainingFinished))
    took = end - began
    site.figures(expected_seconds=expected, took_seconds=took, terms=result.estimate.terms)
    site.claim("at_launch", abs(expected / took - 1) <= OFF, f"{expected:.1f} s, it took {took:.1f} s, "
               f"{expected / took - 1:+.1%}")  # fmt: skip
    off = {share: on_the_way(known, began + share * took, end) for share in SHARES}
    site.figures(on_the_way={f"{share:.0%}": value for share, value in off.items()})
    told = {share: value for share, value in off.items() if value is not None}
    words = [f"at {share:.0%} {'nothing said' if v is None else f'{v:+.1%}'}" for share, v in off.items()]
    held = len(told) == len(SHARES) and max(map(abs, told.values())) <= OFF
    site.claim("on_the_way", held, ", ".join(words))


def on_the_way(known: list[e.AnyEvent], t: float, end: float) -> float | None:
    """How far the finish told last before `t` is off, as a share of the whole; None where nothing was told by then."""
    told = [event for event in known if isinstance(event, e.EtaUpdated) and event.t <= t and event.p50_seconds]
    if not told:
        return None
    last = told[-1]
    assert last.p50_seconds is not None
    return (last.t + last.p50_seconds - end) / end
