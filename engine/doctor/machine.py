"""Cores, memory and open files: what this process may use of the machine."""

from __future__ import annotations

import os
import resource

import psutil

from speedtui.engine.doctor.check import Check
from speedtui.engine.hardware.limits import available_memory_bytes, usable_cores, usable_memory_bytes
from speedtui.engine.units import GIB, format_size

LITTLE_MEMORY_BYTES = 4 * GIB
"""A worker takes about 1 GiB for torch and its libraries before the model, which passes through host memory."""
FEW_OPEN_FILES = 1024
"""The usual soft limit. Each tensor that a loader's worker passes on holds a descriptor."""


def check_cores() -> Check:
    """Cores that a worker may use, of those that the machine has."""
    usable, total = usable_cores(), os.cpu_count() or 1
    found = f"{usable}" if usable == total else f"{usable} of {total} (limited by affinity or the container)"
    if usable == 1:
        advice = "Loading data and computing share one core; ask for two or more."
        return Check(name="CPU cores", status="warning", found=found, advice=advice)
    return Check(name="CPU cores", status="ok", found=found)


def check_memory() -> Check:
    """Host memory that can be taken, with a container's limit."""
    usable, available, total = usable_memory_bytes(), available_memory_bytes(), psutil.virtual_memory().total
    limit = "" if usable == total else f" (the container's limit; the machine has {format_size(total)})"
    found = f"{format_size(available)} free of {format_size(usable)}{limit}"
    if available < LITTLE_MEMORY_BYTES:
        advice = "Close other programs or raise the limit: a worker needs about 1 GiB and room for the model."
        return Check(name="host memory", status="warning", found=found, advice=advice)
    return Check(name="host memory", status="ok", found=found)


def check_open_files() -> Check:
    """The limit of open files, which loaders with many workers reach."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = "unlimited" if soft == resource.RLIM_INFINITY else str(soft)
    if soft != resource.RLIM_INFINITY and soft < FEW_OPEN_FILES:
        highest = "unlimited" if hard == resource.RLIM_INFINITY else str(min(hard, 65_536))
        advice = f"Loaders with several workers may run out: ulimit -n {highest}"
        return Check(name="open files", status="warning", found=found, advice=advice)
    return Check(name="open files", status="ok", found=found)
