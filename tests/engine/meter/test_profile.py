"""A profile of steps by torch's own profiler, here of the CPU's operators in the place of kernels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.autograd import DeviceType

from speedtui.engine.events import StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.meter.profile import PROFILED_STEPS, DeviceActivity, StepProfile, kernels_of
from speedtui.engine.workload.base import token_counts

BATCH = {"input_ids": torch.ones(2, 5, dtype=torch.int64)}
MATRIX = torch.rand(400, 400)


class Bench:
    """A meter whose forward computes and whose backward only waits."""

    def __init__(self, log: EventLog, *, probe: bool = False) -> None:
        self.emitted: list[StepCompleted] = []
        self.meter = Meter(
            PhaseClock(), RunClock(), self.emitted.append, token_counts=token_counts,
            probe="throughput" if probe else None, keep_timings=probe,
        )  # fmt: skip
        self.profile = StepProfile(self.meter, log)
        log.add_source(self.meter.pump)

    def step(self, number: int) -> None:
        meter = self.meter
        meter.data()
        meter.data_done()
        meter.micro_step(BATCH)
        meter.forward()
        for _ in range(4):
            MATRIX @ MATRIX
        meter.backward()
        time.sleep(0.01)
        meter.micro_step_done(torch.tensor(0.5))
        meter.optimizer()
        meter.step_done(number, None)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EventLog]:
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    yield log
    log.close()


def test_a_phase_that_computes_is_busy_and_one_that_waits_is_idle(log: EventLog) -> None:
    bench = Bench(log)
    bench.step(1)
    bench.profile.begin()
    for number in range(2, 2 + PROFILED_STEPS):
        assert not bench.profile.full
        bench.step(number)
    assert bench.profile.running and bench.profile.full
    found = bench.profile.end()
    assert found is not None and not bench.profile.running
    assert (found.steps, found.last_step) == (PROFILED_STEPS, 1 + PROFILED_STEPS)
    assert found.phases["backward"] >= 0.01 * PROFILED_STEPS
    shares = found.shares()
    assert shares["forward"] > 0.5 and shares["backward"] < 0.1
    assert all(0 <= found.busy[name] <= seconds for name, seconds in found.phases.items())
    assert bench.profile.seconds > 0 and not bench.profile.failure


def test_a_training_tells_its_profiled_steps_and_a_probe_tells_and_judges_none_of_them(log: EventLog) -> None:
    for probe in (False, True):
        bench = Bench(log, probe=probe)
        bench.step(1)
        bench.profile.begin()
        bench.step(2)
        found = bench.profile.end()
        bench.step(3)
        bench.meter.pump(urgent=True)
        assert found is not None and found.steps == 1
        assert sum(event.steps for event in bench.emitted) == (2 if probe else 3)
        assert bench.meter.timings is None or len(bench.meter.timings) == 2


def test_a_profiler_that_somebody_else_holds_costs_no_step(log: EventLog) -> None:
    bench = Bench(log)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
        bench.profile.begin()
        assert not bench.profile.running
        assert "profiler" in bench.profile.failure
        bench.step(1)
        assert bench.profile.end() is None
    assert bench.meter.profiled is None


def test_a_profile_without_a_step_says_that_it_saw_nothing(log: EventLog) -> None:
    bench = Bench(log)
    bench.profile.begin()
    assert bench.profile.end() is None
    assert bench.profile.failure == "the profiler saw nothing of the device"


def test_an_abandoned_profile_leaves_the_profiler_free_for_the_next_one(log: EventLog) -> None:
    bench = Bench(log)
    bench.profile.begin()
    bench.step(1)
    bench.profile.abandon()
    assert bench.meter.profiled is None
    bench.profile.begin()
    bench.step(2)
    assert bench.profile.end() is not None


class Seen:
    """An event as kineto gives it."""

    def __init__(self, kind: str, start: int, duration: int, correlation: int = 0) -> None:
        self._kind, self._start, self._duration, self._correlation = kind, start, duration, correlation

    def device_type(self) -> DeviceType:
        return DeviceType.CPU if self._kind.startswith(("cuda", "cpu")) else DeviceType.CUDA

    def activity_type(self) -> str:
        return self._kind

    def is_user_annotation(self) -> bool:
        return "annotation" in self._kind

    def start_ns(self) -> int:
        return self._start

    def duration_ns(self) -> int:
        return self._duration

    def correlation_id(self) -> int:
        return self._correlation


def test_a_kernel_is_launched_by_the_call_with_its_correlation_id() -> None:
    events = [
        Seen("cuda_runtime", 100, 5, 7), Seen("cuda_driver", 120, 5, 8), Seen("kernel", 300, 40, 7),
        Seen("gpu_memcpy", 340, 10, 8), Seen("gpu_memset", 400, 1, 99), Seen("gpu_user_annotation", 0, 1000),
        Seen("cuda_sync", 500, 500),
    ]  # fmt: skip
    assert kernels_of(events) == [
        DeviceActivity(100, 300, 340),
        DeviceActivity(120, 340, 350),
        DeviceActivity(400, 400, 401),
    ]


class SeenBefore(Seen):
    """As torch 2.11 gives it: it does not say what it is."""

    activity_type = None  # type: ignore[assignment]


def test_an_older_torch_that_does_not_say_what_an_event_is_still_tells_annotations_apart() -> None:
    events = [SeenBefore("cuda_runtime", 100, 5, 7), SeenBefore("kernel", 300, 40, 7),
              SeenBefore("gpu_user_annotation", 0, 1000)]  # fmt: skip
    assert kernels_of(events) == [DeviceActivity(100, 300, 340)]
