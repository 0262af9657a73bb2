"""All checks, in the order in which a person would look."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.doctor.check import Check
from speedtui.engine.doctor.devices import check_devices, check_torch_devices, probe_torch
from speedtui.engine.doctor.machine import (
    check_cores,
    check_disk,
    check_home,
    check_memory,
    check_open_files,
    check_shared_memory,
)
from speedtui.engine.doctor.packages import check_optional, check_package, check_python
from speedtui.engine.doctor.terminal import check_colours, check_encoding, check_terminal
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.workload.packages import NEEDED


def run_checks(runs: Path) -> list[Check]:
    """Looks at everything that a job or the screen needs. It imports no torch here and leaves nothing behind.

    `runs` is the folder where runs are kept; it need not exist yet. It takes as long as a fresh process needs to
    import torch, usually 2-10 s.
    """
    reader = NvmlReader()
    try:
        torch = probe_torch()
        devices = [*check_devices(reader, torch), *check_torch_devices(reader, torch)]
    finally:
        reader.close()
    return [
        check_python(),
        *(check_package(name) for name in NEEDED),
        check_optional("bitsandbytes", "quantize", "model.quantize and 8-bit optimizers"),
        *devices,
        check_cores(),
        check_memory(),
        *check_shared_memory(),
        check_open_files(),
        *check_disk(runs),
        check_home(),
        check_terminal(),
        check_colours(),
        check_encoding(),
    ]
