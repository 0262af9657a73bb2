"""What the simulated device promises, as checks that a real one passes as well.

    pytest tests/simulated_cuda                    holds them against the simulated device
    python3 tests/simulated_cuda/contract.py       against the first CUDA device: one JSON line for each promise

It imports nothing of the stand-in.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable

import torch

MIB = 1 << 20
BLOCK_BYTES = 512


def device() -> torch.device:
    """The one that is checked."""
    return torch.device("cuda", 0)


def a_tensor_says_where_it_is() -> None:
    """Placed by `device=`, by `.to`, by an operation; and taken back."""
    made = torch.zeros(4, 4, device=device())
    moved = torch.ones(4, 4).to(device())
    summed = made + moved
    for tensor in (
        made,
        moved,
        summed,
        torch.zeros_like(summed),
        summed.new_ones(2),
        torch.tensor([1.0], device="cuda"),
    ):
        assert tensor.is_cuda and tensor.device == device(), tensor
    assert not summed.cpu().is_cuda
    assert summed.to(device()) is summed
    assert torch.nn.Linear(2, 2).to(device()).weight.is_cuda
    assert summed.sum().item() == 16.0


def a_copy_on_the_host_is_another_tensor() -> None:
    """Writing to it changes nothing on the device."""
    there = torch.ones(3, device=device())
    there.cpu().zero_()
    there.to("cpu").zero_()
    assert there.sum().item() == 3.0


def the_host_cannot_read_it_as_an_array() -> None:
    """Not without a copy."""
    raises(TypeError, "Use Tensor.cpu()", lambda: torch.ones(3, device=device()).numpy())


def device_and_host_do_not_mix() -> None:
    """In one operation; a scalar of the host may."""
    there = torch.ones(3, device=device())
    raises(RuntimeError, "Expected all tensors to be on the same device", lambda: there + torch.ones(3))
    assert (there + torch.tensor(1.0)).is_cuda


def gradients_are_where_the_weights_are() -> None:
    """Also with a checkpoint in between, and those of an optimizer step."""
    from torch.utils.checkpoint import checkpoint

    layer = torch.nn.Linear(4, 4).to(device())
    optimizer = torch.optim.AdamW(layer.parameters())
    given = torch.ones(2, 4, device=device(), requires_grad=True)
    checkpoint(layer, given, use_reentrant=False).square().sum().backward()
    assert layer.weight.grad is not None and layer.weight.grad.is_cuda
    optimizer.step()
    assert all(value.is_cuda for state in optimizer.state.values() for name, value in state.items() if name != "step")


def memory_is_counted_in_blocks() -> None:
    """As long as the tensors live; the peak stays until it is reset."""
    release()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    kept = torch.empty(5 * MIB + 1, dtype=torch.uint8, device=device())
    rounded = 5 * MIB + BLOCK_BYTES
    assert torch.cuda.memory_allocated() - before == rounded
    assert torch.cuda.memory_reserved() >= torch.cuda.memory_allocated()
    del kept
    assert torch.cuda.memory_allocated() == before
    assert torch.cuda.max_memory_allocated() - before == rounded
    torch.cuda.reset_peak_memory_stats()
    assert torch.cuda.max_memory_allocated() == before
    stats = torch.cuda.memory_stats()
    for name in ("allocated_bytes.all.peak", "reserved_bytes.all.peak", "num_alloc_retries", "num_ooms"):
        assert name in stats, name


def the_cache_is_given_back() -> None:
    """What was freed stays reserved until then, and is missing from what the driver has free."""
    release()
    before, free = torch.cuda.memory_reserved(), torch.cuda.mem_get_info()[0]
    torch.empty(64 * MIB, dtype=torch.uint8, device=device())
    assert torch.cuda.memory_reserved() >= before + 64 * MIB
    assert torch.cuda.mem_get_info()[0] <= free - 64 * MIB
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before


def products_leave_a_workspace_that_can_be_cleared() -> None:
    """cuBLAS's: it counts as allocated."""
    release()
    before = torch.cuda.memory_allocated()
    there = torch.ones(64, 64, device=device())
    del there
    square = torch.ones(64, 64, device=device())
    square @ square
    del square
    gc.collect()
    assert torch.cuda.memory_allocated() > before
    release()
    assert torch.cuda.memory_allocated() == before


def a_fraction_limits_the_process() -> None:
    """Beyond it the allocator raises, the process lives on, and with all of the memory there is room again."""
    release()
    total = torch.cuda.get_device_properties(0).total_memory
    limit = torch.cuda.memory_reserved() + 64 * MIB
    ooms = torch.cuda.memory_stats()["num_ooms"]
    torch.cuda.set_per_process_memory_fraction(limit / total)
    try:
        raises(torch.OutOfMemoryError, "Tried to allocate 256.00 MiB",
               lambda: torch.empty(256 * MIB, dtype=torch.uint8, device=device()))  # fmt: skip
        assert torch.cuda.memory_stats()["num_ooms"] == ooms + 1
        assert torch.zeros(8, device=device()).sum().item() == 0.0
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert torch.empty(256 * MIB, dtype=torch.uint8, device=device()).is_cuda
    raises(TypeError, "fraction", lambda: torch.cuda.set_per_process_memory_fraction(1))


def events_resolve_when_the_device_has_come_to_them() -> None:
    """And tell the time between them, which adds up."""
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(3)]
    there = torch.ones(256, 256, device=device())
    for mark in marks:
        mark.record(torch.cuda.current_stream())
        there = there @ there
    torch.cuda.synchronize()
    assert all(mark.query() for mark in marks)
    parts = marks[0].elapsed_time(marks[1]) + marks[1].elapsed_time(marks[2])
    whole = marks[0].elapsed_time(marks[2])
    assert whole > 0 and abs(parts - whole) <= 0.1 * whole + 0.01
    raises(ValueError, "must be recorded", lambda: marks[0].elapsed_time(torch.cuda.Event(enable_timing=True)))


def another_stream_can_read() -> None:
    """Within it it is the current one, and afterwards no longer."""
    value, own = torch.ones((), device=device()), torch.cuda.current_stream()
    torch.cuda.synchronize()
    other = torch.cuda.Stream(device())
    with torch.cuda.stream(other):
        assert torch.cuda.current_stream().stream_id == other.stream_id
        assert float(value) == 1.0
    assert torch.cuda.current_stream().stream_id == own.stream_id


def random_states_can_be_kept() -> None:
    """And put back."""
    kept = torch.cuda.get_rng_state_all()
    torch.cuda.manual_seed_all(7)
    assert not torch.equal(torch.cuda.get_rng_state_all()[0], kept[0])
    torch.cuda.set_rng_state_all(kept)
    assert torch.equal(torch.cuda.get_rng_state_all()[0], kept[0])


def autocast_runs_products_in_its_precision() -> None:
    """And not where it is switched off within."""
    there = torch.ones(4, 4, device=device())
    with torch.autocast("cuda", torch.bfloat16):
        assert torch.is_autocast_enabled("cuda")
        assert (there @ there).dtype is torch.bfloat16
        with torch.autocast("cuda", enabled=False):
            assert (there @ there).dtype is torch.float32
    assert (there @ there).dtype is torch.float32


def it_says_what_it_is() -> None:
    """Name, capability, memory; through accelerate and transformers as well."""
    from accelerate.utils import is_cuda_available
    from transformers.utils.import_utils import is_torch_cuda_available

    properties = torch.cuda.get_device_properties(device())
    assert torch.cuda.is_available() and is_cuda_available() and is_torch_cuda_available()
    assert torch.cuda.device_count() >= 1 and torch.cuda.current_device() == 0 and torch.cuda.is_initialized()
    assert torch.cuda.get_device_name() == properties.name
    assert torch.cuda.get_device_capability() == (properties.major, properties.minor)
    assert torch.cuda.mem_get_info()[1] == properties.total_memory
    assert torch.cuda.is_bf16_supported(including_emulation=False) == (properties.major >= 8)


def a_broken_context_stays_broken(breaks: Callable[[], None]) -> None:
    """Every call that needs the driver raises from then on, those of cleaning up too. `breaks`: does it."""
    there = torch.ones(4, device=device())
    breaks()
    for call in (torch.cuda.synchronize, torch.cuda.empty_cache, there.cpu, lambda: (there + 1).cpu(),
                 torch.cuda.synchronize, torch.cuda.mem_get_info):  # fmt: skip
        raises(RuntimeError, "CUDA error", call)


PROMISES: tuple[Callable[[], None], ...] = (
    a_tensor_says_where_it_is, a_copy_on_the_host_is_another_tensor, the_host_cannot_read_it_as_an_array,
    device_and_host_do_not_mix, gradients_are_where_the_weights_are, memory_is_counted_in_blocks,
    the_cache_is_given_back, products_leave_a_workspace_that_can_be_cleared, a_fraction_limits_the_process,
    events_resolve_when_the_device_has_come_to_them, another_stream_can_read, random_states_can_be_kept,
    autocast_runs_products_in_its_precision, it_says_what_it_is,
)  # fmt: skip
"""All but the last one, after which nothing runs on the device any more."""


def raises(kind: type[BaseException], text: str, call: Callable[[], object]) -> None:
    """As pytest has it, which need not be installed on a machine with a GPU."""
    try:
        call()
    except kind as error:
        found = str(error)
    else:
        raise AssertionError(f"nothing was raised that has {text!r} in it")
    assert text in found, found


def release() -> None:
    """What no tensor holds goes back to the driver."""
    gc.collect()
    torch._C._cuda_clearCublasWorkspaces()  # type: ignore[attr-defined]
    torch.cuda.empty_cache()


def read_beyond_the_end() -> None:
    """Breaks a real context: an index that a kernel finds to be outside."""
    torch.ones(2, device=device())[torch.tensor([5], device=device())]


def held(promise: Callable[[], None]) -> str:
    """Why a promise is not kept; empty where it is."""
    try:
        promise()
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return ""


def main() -> int:
    """Holds the real device to it; exit status 1 where a promise is not kept, 2 without a device."""
    if not torch.cuda.is_available():
        print(json.dumps({"contract": "not checked", "reason": "no CUDA device"}))
        return 2
    checks: list[tuple[str, Callable[[], None]]] = [(promise.__name__, promise) for promise in PROMISES]
    checks.append((a_broken_context_stays_broken.__name__, lambda: a_broken_context_stays_broken(read_beyond_the_end)))
    broken = 0
    for name, promise in checks:
        why = held(promise)
        broken += bool(why)
        print(json.dumps({"promise": name, "kept": not why, "why": why}), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
