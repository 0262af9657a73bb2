"""A job runs on the device that everybody speaks of, or it says in a line why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import msgspec
import pytest
import torch

from speedtui.engine.config.capability import Capability
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order, PlanOrder
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.events import Device, Notice
from speedtui.engine.hardware.limits import usable_memory_bytes
from speedtui.engine.jobs.device import settle_device
from speedtui.engine.jobs.predicting import planned_device
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.units import GIB
from tests.simulated_cuda import simulated_cuda

NewContext = Callable[..., JobContext]
GPU = Device(index=0, kind="cuda", name="NVIDIA H200", memory_bytes=140 * GIB)
THE_CPU = Device(index=0, kind="cpu", name="CPU", memory_bytes=8 * GIB)


@pytest.fixture
def new_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewContext]:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    log = EventLog(tmp_path / "events.jsonl", RunClock())

    def make(*devices: Device, limit_bytes: int | None = None, planned_for: str = "") -> JobContext:
        order = Order(
            job="tune", started_at=0.0, memory_limit_bytes=limit_bytes, enforce_limit=limit_bytes is not None,
            plan=PlanOrder(device=planned_for),
        )  # fmt: skip
        context = JobContext(RunFolder(tmp_path), Settings(), order, log, RunState(), frozenset())
        context.devices = list(devices)
        return context

    yield make
    log.close()


def refused(context: JobContext) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        settle_device(context)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "\n" not in caught.value.message
    return caught.value.message, caught.value.hint


def test_a_gpu_that_torch_is_not_built_for_is_not_quietly_left_alone(
    new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)  # as a build for the CPU has it
    message, hint = refused(new_context(GPU))
    assert message == f"torch {torch.__version__} cannot use NVIDIA H200: it is built for the CPU"
    assert hint == "Install a CUDA build of torch. CUDA_VISIBLE_DEVICES= (empty) runs on the CPU."


def test_a_gpu_that_a_cuda_build_cannot_use_sends_to_the_doctor(
    new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    message, hint = refused(new_context(GPU))
    assert message.endswith("cannot use NVIDIA H200: it sees no CUDA device")
    assert hint.startswith("`speedtui doctor` says why.")


@pytest.mark.parametrize("asked", ["0", "7", "GPU-aaaa", "first"])
def test_a_device_asked_for_that_is_not_there_is_named(
    new_context: NewContext, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", asked)
    message, hint = refused(new_context(THE_CPU))
    assert message == f"CUDA_VISIBLE_DEVICES={asked} names no device of this machine"
    assert "`nvidia-smi -L` lists them." in hint


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles", "none", None])
def test_without_a_gpu_and_with_all_of_them_hidden_it_is_the_cpu(
    new_context: NewContext, monkeypatch: pytest.MonkeyPatch, hidden: str | None
) -> None:
    if hidden is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert settle_device(new_context(THE_CPU)) == torch.device("cpu")


def test_a_limit_over_the_size_of_a_gpu_is_refused_and_one_of_its_size_is_not(new_context: NewContext) -> None:
    with simulated_cuda(memory_bytes=8 * GIB, name="NVIDIA H200"):
        gpu = msgspec.structs.replace(GPU, memory_bytes=8 * GIB)
        assert settle_device(new_context(gpu, limit_bytes=8 * GIB)) == torch.device("cuda", 0)
        message, hint = refused(new_context(gpu, limit_bytes=9 * GIB))
    assert message == "search.memory_limit 9.0 GiB is more than NVIDIA H200 has: 8.0 GiB"
    assert hint == "Give less, or leave it out to use all there is."


def test_a_limit_over_the_size_of_the_machine_is_refused(new_context: NewContext) -> None:
    message, _ = refused(new_context(THE_CPU, limit_bytes=usable_memory_bytes() + 1))
    assert message.startswith("search.memory_limit") and "more than this machine has" in message


@pytest.mark.parametrize(
    ("here", "planned_for", "expected"),
    [
        (THE_CPU, "Tesla T4", (7, 5)),
        (msgspec.structs.replace(GPU, capability=(9, 0)), "L40S 40GiB", (8, 9)),
        (msgspec.structs.replace(GPU, capability=(9, 0)), "80GiB", None),
        (msgspec.structs.replace(GPU, capability=(9, 0)), "", (9, 0)),
        (GPU, "", None),
    ],
)
def test_memory_is_predicted_for_the_capability_of_the_named_gpu_and_an_unknown_one_is_told(
    new_context: NewContext, here: Device, planned_for: str, expected: Capability | None
) -> None:
    context = new_context(here, planned_for=planned_for)
    with simulated_cuda() if here.kind == "cuda" else nullcontext():
        assert planned_device(context) == ("cuda", expected)
    context.log.flush()
    told = [notice.text for notice in read_events(context.folder.events) if isinstance(notice, Notice)]
    unknown = f"the compute capability of {planned_for or GPU.name} is not known: memory is predicted as for 8.0"
    assert [text.partition(", and")[0] for text in told] == ([] if expected else [unknown])


def test_without_a_gpu_here_or_named_a_plan_is_for_the_cpu(new_context: NewContext) -> None:
    assert planned_device(new_context(THE_CPU)) == ("cpu", None)


def test_a_plan_that_measures_nothing_is_refused_where_its_run_would_be(
    new_context: NewContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="more than this machine has"):
        planned_device(new_context(THE_CPU, limit_bytes=usable_memory_bytes() + 1))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with pytest.raises(UsageError, match="CUDA_VISIBLE_DEVICES=7 names no device of this machine"):
        planned_device(new_context(THE_CPU))
    assert planned_device(new_context(THE_CPU, planned_for="T4")) == ("cuda", (7, 5))
