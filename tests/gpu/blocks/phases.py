"""The phases of real steps against torch.profiler's timeline, cut by kernels of our own at the same places."""

from __future__ import annotations

from typing import Any

import torch
from torch.profiler import profile

from speedtui.engine.events import PHASES, StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import INDEX, PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.workload.base import token_counts
from tests.gpu.material import HALF, settings_for
from tests.gpu.onsite import Site

STEPS, OFF = 6, 0.03
LEAST_SHARE = 0.02
"""Of the step: a phase that is shorter is not judged by itself."""
CUT_CYCLES = 100


class CutMeter(Meter):
    """Leaves a kernel that spins for a moment wherever it leaves an event."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cuts: list[str] = []
        """The phases that began, in order."""

    def data(self) -> None:
        super().data()
        self._cut("data")

    def _boundary(self, phase: int) -> None:
        super()._boundary(phase)
        self._cut(PHASES[phase])

    def _cut(self, phase: str) -> None:
        self.cuts.append(phase)
        torch.cuda._sleep(CUT_CYCLES)


def run(site: Site) -> None:
    """A few steps of the 0.5 B model."""
    settings = settings_for(site, HALF, micro_batch_size=site.pick(8, 4), rows=400)
    told: list[StepCompleted] = []
    with site.runner(settings) as runner, runner.trial(settings) as (workload, model):
        meter = CutMeter(
            PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts, watch=told.append,
            device=device_clock(site.device),
        )  # fmt: skip
        data: Any = workload.train_dataset
        trainer = MeteredTrainer(
            model=model, train_dataset=data, data_collator=workload.collator, meter=meter, in_order=True,
            args=training_arguments(settings, site.folder / "phases", site.device, max_steps=site.pick(STEPS, 2)),
        )  # fmt: skip
        with profile(activities=site.activities) as profiler:
            trainer.train()
            torch.cuda.synchronize()
        meter.pump(True)
    later = told[1:]  # the first one begins with what is allocated once
    by_meter = summed([step.device_phases or step.phases for step in later])
    by_profiler = timeline(profiler, meter.cuts)
    whole = sum(by_meter.values())
    off = {name: by_profiler.get(name, 0.0) / seconds - 1 for name, seconds in by_meter.items()
           if seconds > LEAST_SHARE * whole}  # fmt: skip
    site.figures(meter=by_meter, profiler=by_profiler, off=off, cuts=len(meter.cuts))
    if site.rehearsal:
        site.cannot("profiler", why="a simulated device has no kernels to see")
        return
    most = max(off, key=lambda name: abs(off[name]))
    site.claim("profiler", abs(off[most]) <= OFF, f"off by at most {off[most]:+.1%}, {most}")


def timeline(profiler: profile, cuts: list[str]) -> dict[str, float]:
    """Seconds by phase between our own kernels, from the second step on, the pauses between kernels included."""
    ours = [event for event in profiler.events() if "spin_kernel" in event.name]
    starts = sorted(event.time_range.start for event in ours)
    second = [i for i, phase in enumerate(cuts) if phase == "data"][1:2]
    totals: dict[str, float] = {}
    if not second or len(starts) != len(cuts):
        return totals
    for number in range(second[0], len(cuts) - 1):
        name = cuts[number] if cuts[number] in KNOWN else "other"
        totals[name] = totals.get(name, 0.0) + (starts[number + 1] - starts[number]) / 1e6
    return totals


KNOWN = frozenset(INDEX)


def summed(parts: list[dict[str, float]]) -> dict[str, float]:
    """Seconds by phase."""
    return {name: sum(part.get(name, 0.0) for part in parts) for name in parts[0]} if parts else {}
