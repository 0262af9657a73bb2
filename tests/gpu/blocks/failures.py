"""Real failures of a device, each told apart as the engine does it; the one that breaks the context comes last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.trial.failures import Failure, describe_failure
from speedtui.engine.units import GIB
from tests.gpu.onsite import Site

TOO_LARGE_BYTES = 139 * GIB
FRACTION = 0.05
SIDE = 4096


def run(site: Site) -> None:
    """One after the other in one process, which is usable after each but the last."""
    out_of_memory = {"too_large": too_large, "over_fraction": over_fraction, "cublas": product_on_a_full_card}
    for key, cause in out_of_memory.items():
        failure, text = told(site, key, lambda cause=cause: cause(site))
        held = failure is not None and failure.status is TrialStatus.OUT_OF_MEMORY and not failure.poisoned
        site.claim(key, held and usable(site), described(failure, text))
    if site.rehearsal:
        site.cannot("triton", why="a simulated device runs no kernel of Triton")
    else:
        failure, text = told(site, "triton", lambda: triton_too_large(site))
        site.claim("triton", failure is not None and not failure.poisoned and usable(site), described(failure, text))
    failure, text = told(site, "assert", lambda: device_assert(site))
    site.claim("assert", failure is not None and failure.poisoned, described(failure, text))


def told(site: Site, key: str, cause: Callable[[], object]) -> tuple[Failure | None, str]:
    """What the engine makes of it, and its own words; None where nothing went wrong."""
    failure, text = None, ""
    try:
        cause()
    except Exception as error:
        text = f"{type(error).__module__}.{type(error).__name__}: {error}"
        failure = describe_failure(error)
    figures: dict[str, Any] = {"text": text[:2000]}
    if failure is not None:
        figures |= {"status": failure.status.value, "reason": failure.reason, "poisoned": failure.poisoned}
    site.figures(**{key: figures})
    return failure, text


def described(failure: Failure | None, text: str) -> str:
    """In a line."""
    if failure is None:
        return "nothing went wrong"
    first = (text.splitlines() or [""])[0]
    return f"{failure.status.value}{', poisoned' if failure.poisoned else ''}: {first:.120}"


def usable(site: Site) -> bool:
    """Whether something can still be computed."""
    try:
        release_memory(site.device)
        return float((torch.ones(8, device=site.device) * 2).sum()) == 16.0
    except Exception as error:
        print(f"no longer usable: {error}")
        return False


def too_large(site: Site) -> torch.Tensor:
    """More than the whole card."""
    return torch.empty(TOO_LARGE_BYTES, dtype=torch.uint8, device=site.device)


def over_fraction(site: Site) -> None:
    """More than this process may take."""
    total = torch.cuda.get_device_properties(site.device).total_memory
    torch.cuda.set_per_process_memory_fraction(FRACTION, site.device)
    try:
        torch.empty(int(2 * FRACTION * total), dtype=torch.uint8, device=site.device)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, site.device)


def product_on_a_full_card(site: Site) -> None:
    """cuBLAS finds no room for itself: all is taken, and it has no work space yet on a stream of its own."""
    left, right = (torch.randn(SIDE, SIDE, device=site.device, dtype=torch.bfloat16) for _ in range(2))
    out = torch.empty(SIDE, SIDE, device=site.device, dtype=torch.bfloat16)
    release_memory(site.device)
    filled = fill(site)
    try:
        with torch.cuda.stream(torch.cuda.Stream(site.device)):
            torch.matmul(left, right, out=out)
        torch.cuda.synchronize()
    finally:
        filled.clear()


def fill(site: Site) -> list[torch.Tensor]:
    """Tensors that leave less than a MiB free."""
    held, size = [], 16 * GIB
    while size >= 1 << 20:
        try:
            held.append(torch.empty(size, dtype=torch.uint8, device=site.device))
        except torch.cuda.OutOfMemoryError:
            size //= 2
    return held


def triton_too_large(site: Site) -> None:
    """A kernel that wants more shared memory than a multiprocessor has."""
    import triton
    import triton.language as tl

    @triton.jit
    def products(source, target, side: tl.constexpr):  # type: ignore[no-untyped-def]
        rows = tl.arange(0, side)
        block = tl.load(source + rows[:, None] * side + rows[None, :])
        tl.store(target + rows[:, None] * side + rows[None, :], tl.dot(block, block))

    side = 1024
    source = torch.randn(side, side, device=site.device)
    products[(1,)](source, torch.empty_like(source), side, num_warps=4)
    torch.cuda.synchronize()


def device_assert(site: Site) -> None:
    """An index beyond the table; the simulated device is told to be broken by one."""
    if site.simulated is not None:
        site.simulated.poison("cudaErrorAssert")
    table = torch.zeros(4, 4, device=site.device)
    nn.functional.embedding(torch.tensor([9], device=site.device), table)
    torch.cuda.synchronize()
