"""What a trial says of its device: idle time, MFU, clocks; on a simulated GPU, and nothing on a CPU."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.config.settings import SearchSettings, Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.profile import PROFILED_STEPS
from speedtui.engine.report.files import trial_entry
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.state import RunState
from speedtui.engine.trial.runner import TrialRunner
from tests.engine.meter.unread import unread_profiles
from tests.engine.trial.conftest import attempt
from tests.simulated_cuda import simulated_cuda

GPU = torch.device("cuda", 0)
H100 = "NVIDIA H100 80GB HBM3"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("watched")


@pytest.fixture(scope="module")
def runner(folder: Path, settings: Settings) -> Iterator[TrialRunner]:
    """On a device whose driver tells the same each tenth of a second, at its power limit in every second reading."""
    log = EventLog(folder / "events.jsonl", RunClock())
    order = Order(job="tune", started_at=time.time())
    few = msgspec.structs.replace(settings, search=SearchSettings(batches=4))
    context = JobContext(RunFolder(folder), few, order, log, RunState(), frozenset())
    for i in range(600):
        sample = e.DeviceSample(
            index=0, name=H100, sm_clock_mhz=1980 - i % 2, temperature_celsius=60.0, power_watts=650.0,
            throttled=False, power_capped=i % 2 == 0,
        )  # fmt: skip
        context.readings.take(e.HardwareSampled(t=i / 10, devices=[sample], host=e.HostSample()))
    with simulated_cuda(name=H100):
        yield TrialRunner(context, GPU)
    log.close()


@pytest.fixture(scope="module")
def result(runner: TrialRunner) -> TrialResult:
    return attempt(runner, train__micro_batch_size=2)


def test_a_trial_on_a_gpu_knows_how_busy_it_was_in_each_phase(result: TrialResult) -> None:
    assert result.status is TrialStatus.OK, result.reason
    found = result.measurement
    assert found is not None and found.busy_phases is not None
    assert found.busy_phases.keys() == found.phases.keys()
    assert all(0 <= found.busy_phases[name] <= seconds + 1e-9 for name, seconds in found.phases.items())
    assert found.busy_phases["forward"] > 0.3 * found.phases["forward"], "operators of the CPU stand in for kernels"
    assert found.idle_fraction is not None and 0 < found.idle_fraction < 1


def test_the_steps_of_the_profile_are_neither_told_nor_judged(
    result: TrialResult, runner: TrialRunner, folder: Path
) -> None:
    runner.context.log.flush()
    events = list(read_events(folder / "events.jsonl"))
    told = sum(x.steps for x in events if isinstance(x, e.StepCompleted) and x.probe == "throughput" and x.trial == 0)
    found = result.measurement
    assert found is not None
    assert told * 2 <= found.batches + found.warmup_batches + 1, f"{PROFILED_STEPS} steps more were made"
    assert not [x for x in events if isinstance(x, e.Notice) and "idle" in x.text]


def test_a_trial_on_a_known_gpu_has_an_mfu(result: TrialResult) -> None:
    found = result.measurement
    assert found is not None and found.flops is not None and found.flops.per_token is not None
    assert (found.flops.peak, found.flops.precision) == (67e12, "float32")
    assert found.mfu == pytest.approx(found.flops.per_token * found.tokens_per_second / 67e12)


def test_a_trial_whose_profile_cannot_be_read_is_measured_all_the_same_and_says_so(
    result: TrialResult, runner: TrialRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    unread_profiles(monkeypatch)
    found = attempt(runner, 1, train__micro_batch_size=2)
    assert found.status is TrialStatus.OK, found.reason
    assert found.measurement is not None and found.measurement.busy_phases is None
    runner.context.log.flush()
    told = [event.text for event in read_events(runner.context.folder.events) if isinstance(event, e.Notice)]
    assert told.count(
        "how long the device is idle in a step is not known: the profile cannot be read: CUPTI_ERROR_UNKNOWN"
    ) == 1  # fmt: skip


def test_a_trial_keeps_the_conditions_of_the_steps_it_judges_by(result: TrialResult) -> None:
    seen = result.conditions
    if seen is None:  # its steps fell between two readings
        pytest.fail("a reading each tenth of a second, and none fell into the steps")
    assert 1979 <= (seen.sm_clock_mhz or 0) <= 1980 and seen.highest_celsius == 60.0
    assert seen.throttled_fraction == 0.0 and seen.power_capped_fraction is not None


def test_the_study_files_have_all_of_it(result: TrialResult, runner: TrialRunner) -> None:
    candidate = make_candidate(0, {"train.micro_batch_size": 2}, runner.context.settings, "test")
    entry = trial_entry(candidate, result, runner.context.settings, None, 0.0)
    assert entry["mfu"] is not None and entry["idle_fraction"] is not None
    assert entry["flops"]["precision"] == "float32" and entry["device_conditions"]["highest_celsius"] == 60.0
    assert msgspec.json.decode(msgspec.json.encode(entry))["busy_phases"] == entry["busy_phases"]


@pytest.mark.parametrize(
    ("setting", "peak", "precision"),
    [("bf16", 989.5e12, "bfloat16"), ("fp16", 989.5e12, "float16"), ("tf32", 494.5e12, "tf32")],
)
def test_each_precision_is_held_against_its_own_peak(
    result: TrialResult, runner: TrialRunner, setting: str, peak: float, precision: str
) -> None:
    assert runner.workload is not None and result.measurement is not None
    settings = runner.context.settings
    other = msgspec.structs.replace(settings, train=msgspec.structs.replace(settings.train, **{setting: True}))
    found = runner.arithmetic.of(runner.workload.model, runner.workload, other)
    assert found is not None and (found.peak, found.precision) == (peak, precision)
    measured = result.measurement.flops
    assert measured is not None and found.per_token == measured.per_token, "as it was counted in the trial"
