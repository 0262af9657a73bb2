"""What a new length costs by the order of attention kernels, and which ones float32 with grouped heads gets."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import profile

from tests.gpu.onsite import Site

LENGTHS = [*range(200, 968, 64)]
"""Twelve; none of them is a multiple of another order's, see `shifted`."""
HEADS, GROUPS, WIDTH, ROWS = 14, 2, 64, 8
LAST = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH, SDPBackend.CUDNN_ATTENTION]
WARM_TOKENS = 976
"""Longer than all of them."""
MUCH = 2.0
"""Times what a known length takes."""
GROUPED_TOKENS = 1024


def run(site: Site) -> None:
    """First and second call at lengths that were never seen, in three orders, masked and not."""
    orders = {"default": contextlib.nullcontext, "cudnn_last": cudnn_last, "cudnn_off": cudnn_off}
    for number, (name, order) in enumerate(orders.items()):
        found = {}
        for masked in (False, True):
            with order():
                found["mask" if masked else "no mask"] = new_lengths(site, masked, shift=2 * number + masked)
        site.figures(**{name: found})
        if name != "cudnn_off":
            ratio = max(each["ratio"] for each in found.values())
            site.claim(name, ratio < MUCH, f"{ratio:.2f} times" + "".join(
                f"; {kind}: first {each['first_ms']:.2f} ms, again {each['again_ms']:.2f} ms"
                for kind, each in found.items()))  # fmt: skip
    grouped(site)


def new_lengths(site: Site, masked: bool, shift: int) -> dict[str, float]:
    """Milliseconds, forward and backward, of the first call at a length and of the next one."""
    first, again = [], []
    lengths = [length + 8 * shift for length in site.pick(LENGTHS, LENGTHS[:1])]
    call(site, site.pick(WARM_TOKENS, 64) + shift, masked)  # what the library, and the allocator, take to begin
    for length in lengths:
        for kept in (first, again):
            kept.append(site.seconds(lambda length=length: call(site, length, masked)) * 1e3)
    middle = statistics.median(again)
    return {"first_ms": statistics.median(first), "again_ms": middle, "ratio": statistics.median(first) / middle,
            "first_sum_ms": sum(first), "again_sum_ms": sum(again)}  # fmt: skip


def call(site: Site, length: int, masked: bool, *, dtype: torch.dtype = torch.bfloat16, rows: int = ROWS) -> None:
    """One causal attention of grouped heads; the mask hides one token of the last row."""
    rows = site.pick(rows, 1)

    def heads(count: int) -> torch.Tensor:
        return torch.randn(rows, count, length, WIDTH, device=site.device, dtype=dtype, requires_grad=True)

    mask = None
    if masked:
        mask = torch.ones(length, length, dtype=torch.bool, device=site.device).tril().expand(rows, 1, -1, -1).clone()
        mask[-1, :, :, -1] = False
    out = nn.functional.scaled_dot_product_attention(
        heads(HEADS), heads(GROUPS), heads(GROUPS), attn_mask=mask, is_causal=mask is None, enable_gqa=True
    )
    out.sum().backward()


@contextlib.contextmanager
def cudnn_last() -> Iterator[None]:
    """Every other kernel is preferred to it."""
    with sdpa_kernel(LAST, set_priority=True):
        yield


@contextlib.contextmanager
def cudnn_off() -> Iterator[None]:
    """It is not taken at all."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def grouped(site: Site) -> None:
    """Peak and kernels in float32, without a mask and with one."""
    found = {}
    for masked in (False, True):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        with profile(activities=site.activities) as profiler:
            call(site, site.pick(GROUPED_TOKENS, 64), masked, dtype=torch.float32)
            torch.cuda.synchronize()
        names = {event.key for event in profiler.key_averages() if "attention" in event.key or "fmha" in event.key}
        found["mask" if masked else "no mask"] = {
            "peak_bytes": torch.cuda.max_memory_allocated(), "kernels": sorted(names)[:6],
        }  # fmt: skip
    site.figures(grouped_fp32=found)
    bare, masked_peak = found["no mask"]["peak_bytes"], found["mask"]["peak_bytes"]
    site.claim("grouped_fp32", bare <= masked_peak, f"{bare / 2**20:.0f} MiB without, {masked_peak / 2**20:.0f} with")
