"""How often the steps of a training are profiled, and that it costs next to nothing."""

from __future__ import annotations

import random
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._C._autograd import _profiler_enabled

from speedtui.engine import events as e
from speedtui.engine.config.settings import ScheduleSettings, Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.errors import JobError
from speedtui.engine.jobs.train import train
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.profile import PROFILED_STEPS
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, fold
from speedtui.engine.trainer.sampled_busy import APART_SECONDS, FIRST_STEPS, SHARE, SampledBusy
from speedtui.engine.workload.base import Collator, DataFacts, Workload
from tests.engine.meter.unread import unread_profiles
from tests.engine.workload.test_flops import llama, stack
from tests.simulated_cuda import simulated_cuda

GPU = torch.device("cuda", 0)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def scheduled(clock: Clock) -> SampledBusy:
    """Asks only when one is due; of context and meter it needs nothing for that."""
    return SampledBusy(None, None, GPU, clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(40))
def test_all_profiles_together_cost_less_than_their_share(seed: int) -> None:
    chance = random.Random(seed)
    clock = Clock()
    busy = scheduled(clock)
    step_seconds, total = 10 ** chance.uniform(-2, 1.5), chance.randint(30, 30_000)
    spent, times = 0.0, []
    busy._first_step = 0
    for step in range(1, total):
        clock.now += step_seconds
        if busy.due(step, total):
            cost = chance.uniform(0.1, 3.0)
            busy._last_at, busy._cost, busy._spent = clock.now, cost, busy._spent + cost
            spent, times = spent + cost, [*times, clock.now]
            assert step >= FIRST_STEPS
        if step > 2000 and not times:
            break
    assert spent <= SHARE * step_seconds * total + 3.0
    assert all(later - earlier >= APART_SECONDS for earlier, later in pairwise(times))


def test_a_long_training_is_profiled_soon_and_a_short_one_never() -> None:
    for step_seconds, total, expected in ((0.4, 18_000, [FIRST_STEPS]), (0.4, 100, [])):
        clock = Clock()
        busy = scheduled(clock)
        busy._first_step = 0
        due = []
        for step in range(1, 100):
            clock.now += step_seconds
            if busy.due(step, total):
                due.append(step)
                busy._last_at = clock.now
        assert due == expected


def trained(folder: Path, steps: int, collator: Collator = stack) -> list[e.AnyEvent]:
    """The events of a whole training on a simulated GPU, in this process."""
    ids = [torch.arange(4, 12) for _ in range(8)]
    samples = [{"input_ids": row, "attention_mask": torch.ones_like(row), "labels": row} for row in ids]
    settings = Settings(train=TrainSettings(method="full", effective_batch_size=2, micro_batch_size=2, max_steps=steps),
                        schedule=ScheduleSettings(check_evaluation=False, checkpoint_every="never"))  # fmt: skip
    model = llama().to(GPU)
    workload = Workload(
        name="tiny", model=model, tokenizer=None, train_dataset=samples, eval_dataset=None, collator=collator,
        lengths=np.full(len(samples), 8, dtype=np.int32), padding="longest", facts=DataFacts(train_rows=len(samples)),
    )  # fmt: skip
    log = EventLog(folder / "events.jsonl", RunClock())
    context = JobContext(
        RunFolder(folder), settings, Order(job="train", started_at=time.time()), log, RunState(), frozenset()
    )
    try:
        train(context, settings, workload, GPU, named=(), trial=None, estimate=None, since=0.0)
    finally:
        log.close()
    return list(read_events(folder / "events.jsonl"))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile is due after two steps, whatever it costs."""
    for name, value in (("FIRST_STEPS", 2), ("SHARE", 1e9)):
        monkeypatch.setattr(f"speedtui.engine.trainer.sampled_busy.{name}", value)


@pytest.mark.usefixtures("soon")
def test_a_training_on_a_gpu_tells_its_idle_time_and_its_mfu(tmp_path: Path) -> None:
    with simulated_cuda(name="NVIDIA H100 80GB HBM3"):
        events = trained(tmp_path, 9)
    (found,) = [event for event in events if isinstance(event, e.DeviceBusyMeasured)]
    assert (found.steps, found.step) == (PROFILED_STEPS, 3 + PROFILED_STEPS)
    assert found.busy.keys() == found.phases.keys() and found.cost_seconds > 0
    assert all(0 <= found.busy[name] <= seconds for name, seconds in found.phases.items())
    assert sum(event.steps for event in events if isinstance(event, e.StepCompleted)) == 9, "its steps are told, too"
    state = fold(events)
    assert state.training is not None and state.training.device_busy == found
    assert state.training.flops is not None and state.training.flops.precision == "float32"
    assert state.training.mfu is not None and 0 < state.training.mfu < 1
    assert any("idle for" in line.text for line in state.log)


@pytest.mark.usefixtures("soon")
def test_a_profile_ends_with_the_training(tmp_path: Path) -> None:
    with simulated_cuda():
        events = trained(tmp_path, 4)
    (found,) = [event for event in events if isinstance(event, e.DeviceBusyMeasured)]
    assert (found.steps, found.step) == (1, 4)
    state = fold(events).training
    assert state is not None and state.flops is not None
    assert state.flops.peak is None and state.mfu is None, "of a device that nobody knows"


@pytest.mark.usefixtures("soon")
def test_a_profile_that_cannot_be_read_costs_one_line_and_no_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread_profiles(monkeypatch)
    with simulated_cuda():
        events = trained(tmp_path, 8)
    assert not [event for event in events if isinstance(event, e.DeviceBusyMeasured)]
    notices = [event.text for event in events if isinstance(event, e.Notice) and "idle" in event.text]
    assert notices == [
        "how long the device is idle in a step is not known: the profile cannot be read: CUPTI_ERROR_UNKNOWN"
    ]
    assert sum(event.steps for event in events if isinstance(event, e.StepCompleted)) == 8


@pytest.mark.usefixtures("soon")
def test_a_training_that_fails_within_a_profile_leaves_the_profiler_to_the_next_one(tmp_path: Path) -> None:
    batches = 0

    def collate(rows: Any) -> Any:
        nonlocal batches
        batches += 1
        if _profiler_enabled():
            raise ValueError("no such row")
        return stack(rows)

    with simulated_cuda(), pytest.raises(JobError, match="no such row"):
        trained(tmp_path, 9, collate)
    assert batches > 1 and not _profiler_enabled()


@pytest.mark.usefixtures("soon")
def test_a_profiler_that_is_taken_costs_one_line_and_no_step(tmp_path: Path) -> None:
    with simulated_cuda(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]):
        events = trained(tmp_path, 6)
    assert not [event for event in events if isinstance(event, e.DeviceBusyMeasured)]
    notices = [event.text for event in events if isinstance(event, e.Notice) and "idle" in event.text]
    assert notices == [
        "how long the device is idle in a step is not known: the profiler cannot be started: another one is running"
    ]
    assert sum(event.steps for event in events if isinstance(event, e.StepCompleted)) == 6
