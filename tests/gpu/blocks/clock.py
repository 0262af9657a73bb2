"""The meter's clock of the device, on work of known length, against events recorded by hand and torch.profiler."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from overhead import call_costs
from torch.profiler import profile

from speedtui.engine.events import StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.workload.base import token_counts
from tests.gpu.onsite import Site

SCRIPT = (("h2d", 5.0), ("forward", 20.0), ("backward", 40.0), ("optimizer", 5.0))
"""Milliseconds of work in each phase of a step."""
GAP_SECONDS = 0.015
"""That the device is idle before each step, waiting for data."""
STEPS, QUEUED_MS = 20, 300.0
WITHIN, READ_SECONDS, MARKS_MICROSECONDS = 0.02, 1e-3, 20.0
BATCH = {"input_ids": torch.ones(2, 5, dtype=torch.int64)}
CALIBRATING_CYCLES = 200_000_000


def run(site: Site) -> None:
    """Twenty scripted steps, once by hand and once under the profiler."""
    worker = Worker()
    measured, by_hand = scripted(site, worker, site.pick(STEPS, 2))
    site.figures(meter=measured, by_hand=by_hand)
    off = {name: measured[name] / by_hand[name] - 1 for name, _ in SCRIPT}
    site.claim("events", worst(off) <= WITHIN, f"off by at most {worst(off):.2%}")
    gap = measured["data"] / by_hand["data"] - 1
    site.claim("gap", abs(gap) <= WITHIN, f"off by {abs(gap):.2%}")
    profiled(site, worker)
    read_while_queued(site, worker)
    costs = call_costs(1, blocks=site.pick(40, 2), steps=site.pick(500, 20), device=site.device)
    site.figures(marks_microseconds=str(costs.whole_step))
    found = costs.whole_step.median
    site.claim("marks", found <= MARKS_MICROSECONDS, f"{found:.1f} us")


class Worker:
    """Keeps the device busy for so many milliseconds, by a kernel that spins."""

    def __init__(self) -> None:
        torch.cuda._sleep(1000)
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        torch.cuda._sleep(CALIBRATING_CYCLES)
        end.record()
        torch.cuda.synchronize()
        self._cycles_per_ms = CALIBRATING_CYCLES / begin.elapsed_time(end)

    def work(self, milliseconds: float) -> None:
        """Queued."""
        torch.cuda._sleep(int(milliseconds * self._cycles_per_ms))


class Hand:
    """Boundaries marked beside the meter's."""

    def __init__(self) -> None:
        self._marks: list[tuple[str, torch.cuda.Event]] = []

    def mark(self, phase: str) -> None:
        """`phase` begins."""
        moment = torch.cuda.Event(enable_timing=True)
        moment.record()
        self._marks.append((phase, moment))

    def seconds(self) -> dict[str, float]:
        """By phase."""
        totals: dict[str, float] = {}
        for (phase, begin), (_, end) in zip(self._marks, self._marks[1:], strict=False):
            totals[phase] = totals.get(phase, 0.0) + begin.elapsed_time(end) / 1e3
        return totals


def scripted(site: Site, worker: Worker, steps: int) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by phase as the meter has them and as they were measured by hand."""
    told: list[StepCompleted] = []
    meter = Meter(
        PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts, device=device_clock(site.device),
        watch=told.append,
    )  # fmt: skip
    meter.epoch_begins = False  # the wait for the first data counts
    hand, loss = Hand(), torch.zeros((), device=site.device)
    enter: dict[str, Callable[[], None]] = {
        "h2d": lambda: meter.micro_step(BATCH), "forward": meter.forward, "backward": meter.backward,
        "optimizer": meter.optimizer,
    }  # fmt: skip
    for step in range(1, steps + 1):
        meter.data()
        hand.mark("data")
        torch.cuda.synchronize()
        time.sleep(GAP_SECONDS)
        meter.data_done()
        hand.mark("other")
        for phase, milliseconds in SCRIPT:
            if phase == "optimizer":
                meter.micro_step_done(loss)
            enter[phase]()
            hand.mark(phase)
            worker.work(milliseconds)
        meter.step_done(step, 1e-3)
        hand.mark("other")
    torch.cuda.synchronize()
    meter.pump(True)
    return added([step.device_phases or step.phases for step in told]), hand.seconds()


def added(parts: list[dict[str, float]]) -> dict[str, float]:
    """Sums by name."""
    return {name: sum(part.get(name, 0.0) for part in parts) for name in parts[0]}


def worst(off: dict[str, float]) -> float:
    """The largest deviation."""
    return max(abs(value) for value in off.values())


def profiled(site: Site, worker: Worker) -> None:
    """The kernels themselves, as the profiler saw them, in the order of the script."""
    steps = site.pick(STEPS // 2, 1)
    with profile(activities=site.activities) as profiler:
        measured, _ = scripted(site, worker, steps)
    if site.rehearsal:
        site.cannot("profiler", why="a simulated device has no kernels to see")
        return
    spins = [event for event in profiler.events() if "spin_kernel" in event.name]
    spins.sort(key=lambda event: event.time_range.start)
    seen = dict.fromkeys((name for name, _ in SCRIPT), 0.0)
    for number, event in enumerate(spins):
        seen[SCRIPT[number % len(SCRIPT)][0]] += event.time_range.elapsed_us() / 1e6
    off = {name: measured[name] / seen[name] - 1 if seen[name] else 1.0 for name in seen}
    site.figures(profiler=seen, meter_beside_profiler=measured, kernels=len(spins))
    site.claim("profiler", len(spins) == steps * len(SCRIPT) and worst(off) <= WITHIN,
               f"{len(spins)} kernels, off by at most {worst(off):.2%}")  # fmt: skip


def read_while_queued(site: Site, worker: Worker) -> None:
    """A loss that is there is read although the device has work to do."""
    clock = device_clock(site.device)
    assert clock is not None
    loss = torch.full((), 2.5, device=site.device) * 2
    torch.cuda.synchronize()
    clock.read(loss)  # what the first one allocates
    worker.work(QUEUED_MS)
    began = time.perf_counter()
    value = clock.read(loss)
    took = time.perf_counter() - began
    still_busy = not torch.cuda.current_stream().query()
    site.claim("read", value == 5.0 and still_busy and took < READ_SECONDS,
               f"{took * 1e3:.3f} ms, the device busy afterwards: {still_busy}")  # fmt: skip
