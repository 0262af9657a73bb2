"""The simulated device keeps what it promises, and takes the place of the real one no longer than it is asked to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
import torch

from tests.simulated_cuda import FAULTS, SimulatedCuda, simulated_cuda
from tests.simulated_cuda.contract import PROMISES, a_broken_context_stays_broken, device


@pytest.fixture(scope="module")
def one_device() -> Iterator[SimulatedCuda]:
    with simulated_cuda() as cuda:
        yield cuda


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_it_keeps_what_it_promises(promise: Callable[[], None], one_device: SimulatedCuda) -> None:
    promise()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_context_stays_broken(fault: str) -> None:
    with simulated_cuda() as cuda:
        a_broken_context_stays_broken(lambda: cuda.poison(fault))
        with pytest.raises(RuntimeError, match=FAULTS[fault]):
            torch.cuda.synchronize()


def test_afterwards_there_is_no_device() -> None:
    before = torch.cuda.is_available()
    with simulated_cuda():
        left = torch.ones(2, device=device())
    assert torch.cuda.is_available() is before
    assert left.device.type == "cpu"


def test_threads_that_are_started_have_it_too(one_device: SimulatedCuda) -> None:
    found: list[torch.device] = []
    thread = threading.Thread(target=lambda: found.append(torch.ones(1, device="cuda").device))
    thread.start()
    thread.join()
    assert found == [device()]


def test_events_resolve_late_when_they_are_waited_for_or_never(one_device: SimulatedCuda) -> None:
    one_device.lag_seconds = 1e6
    try:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        end.record()
        assert not end.query()
        with pytest.raises(RuntimeError, match="not ready"):
            begin.elapsed_time(end)
        torch.cuda.synchronize()
        assert end.query()
        one_device.hung = True
        assert not end.query()
    finally:
        one_device.lag_seconds, one_device.hung = 0.0, False


def test_what_other_processes_hold_is_not_free() -> None:
    gib = 1 << 30
    with simulated_cuda(memory_bytes=4 * gib, external_bytes=3 * gib):
        assert torch.cuda.mem_get_info() == (gib, 4 * gib)
        with pytest.raises(torch.OutOfMemoryError, match=r"total capacity of 4\.00 GiB of which 1\.00 GiB is free"):
            torch.empty(2 * gib, dtype=torch.uint8, device=device())


def test_a_cache_in_pieces_has_to_be_given_back_for_a_large_block(one_device: SimulatedCuda) -> None:
    retries = torch.cuda.memory_stats()["num_alloc_retries"]
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((64 << 20) / total)
    one_device.fragmented_bytes = 40 << 20
    try:
        assert torch.empty(32 << 20, dtype=torch.uint8, device=device()).is_cuda
        assert torch.cuda.memory_stats()["num_alloc_retries"] == retries + 1
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
