"""What the device, its driver and the libraries say of themselves."""

from __future__ import annotations

import os
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import figures
import msgspec
import torch
from torch import nn

from speedtui.engine.doctor import run_checks
from speedtui.engine.hardware.driver import Driver, DriverError
from speedtui.engine.hardware.nvml import NvmlReader
from tests.gpu.onsite import Site

PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "triton", "nvidia-ml-py")
LOADED_SECONDS, SIDE = 3.0, 8192
"""Of products of square matrices: long enough for clocks and power to settle."""


def machine(site: Site) -> None:
    """What every figure depends on, and why nothing can be measured where that is so."""
    reader = NvmlReader()
    facts = {**figures.machine(), "packages": {name: version(name) for name in PACKAGES},
             "driver": reader.driver_version}  # fmt: skip
    reader.close()
    problem = "" if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA device"
    if not problem:
        found = torch.cuda.get_device_properties(0)
        facts |= {"device": found.name, "memory_bytes": found.total_memory, "cuda": torch.version.cuda,
                  "capability": f"{found.major}.{found.minor}", "cudnn": torch.backends.cudnn.version()}  # fmt: skip
    site.figures(**facts, problem=problem)


def version(name: str) -> str | None:
    """Of a package; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def run(site: Site) -> None:
    """Flags and readings, idle and loaded, and the doctor's checks."""
    one_product(site)
    site.figures(
        sdpa_order=[int(backend) for backend in torch._C._get_sdp_priority_order()],
        matmul_precision=torch.get_float32_matmul_precision(),
        fp32_precision={
            "matmul": getattr(torch.backends.cuda.matmul, "fp32_precision", None),
            "convolution": getattr(getattr(torch.backends.cudnn, "conv", None), "fp32_precision", None),
        },
        sdpa_enabled={name: getattr(torch.backends.cuda, f"{name}_sdp_enabled")()
                      for name in ("flash", "mem_efficient", "math", "cudnn")},
        environment={name: value for name, value in os.environ.items() if name.startswith(("CUDA", "PYTORCH"))},
    )  # fmt: skip
    reader = NvmlReader()
    idle, idle_bits = reading(reader), event_reasons()
    loaded, loaded_bits = under_load(site, reader)
    site.figures(idle=idle, idle_reasons=idle_bits, loaded=loaded, loaded_reasons=loaded_bits, notes=reader.notes)
    reader.close()
    if site.rehearsal:
        site.cannot("readings", "throttled", why="a simulated device has no driver")
    else:
        missing = [name for name, value in loaded.items() if value is None]
        site.claim("readings", not missing, f"missing: {', '.join(missing)}" if missing else "all there")
        site.claim("throttled", loaded["throttled"] is False, f"throttled {loaded['throttled']}, reasons {loaded_bits}")
        site.figures(doctor=[msgspec.to_builtins(check) for check in run_checks(Path(site.folder))])


def one_product(site: Site) -> None:
    """An attention in bfloat16, after which torch has settled what it prefers."""
    heads = torch.randn(1, 4, 64, 64, device=site.device, dtype=torch.bfloat16)
    nn.functional.scaled_dot_product_attention(heads, heads, heads, is_causal=True)
    torch.cuda.synchronize()


def reading(reader: NvmlReader) -> dict[str, Any]:
    """The first device's; empty where there is none."""
    samples = reader.sample()
    return dict(msgspec.to_builtins(samples[0])) if samples else {}


def event_reasons() -> str | None:
    """The bits that say why the clocks are what they are."""
    try:
        driver = Driver()
        handle = driver.call("nvmlDeviceGetHandleByIndex", 0)
        return hex(driver.call("nvmlDeviceGetCurrentClocksEventReasons", handle))
    except DriverError:
        return None


def under_load(site: Site, reader: NvmlReader) -> tuple[dict[str, Any], str | None]:
    """A sample and the reasons in the middle of dense products."""
    side = site.pick(SIDE, 64)
    matrix = torch.randn(side, side, device=site.device, dtype=torch.bfloat16)
    until = time.monotonic() + site.pick(LOADED_SECONDS, 0.01)
    while time.monotonic() < until:
        for _ in range(20):
            matrix @ matrix
        torch.cuda.synchronize()
    for _ in range(50):  # queued: the device is busy while it is looked at
        matrix @ matrix
    return reading(reader), event_reasons()
