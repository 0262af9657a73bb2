"""Cores, memory, open files and disks: what this process may use of the machine."""

from __future__ import annotations

import os
import resource
import shutil
import tempfile
from pathlib import Path

import psutil

from speedtui.engine.doctor.check import Check
from speedtui.engine.hardware.host import existing, free_bytes
from speedtui.engine.hardware.limits import available_memory_bytes, usable_cores, usable_memory_bytes
from speedtui.engine.home import said_of_home
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


LITTLE_DISK_BYTES = 20 * GIB
"""One full checkpoint of a 7B model in bf16 takes 14 GB, without its optimizer."""
NO_DISK_BYTES = 1 * GIB
"""Less than that holds no model at all."""
SHARED_MEMORY = Path("/dev/shm")
"""Where torch's loaders put the tensors that their workers pass on."""
LITTLE_SHARED_BYTES = 1 * GIB
"""Docker gives 64 MiB unless told otherwise; loaders then die with a bus error."""


def check_disk(runs: Path) -> list[Check]:
    """Whether runs can be written, and how much room there is. What it writes to find out is gone afterwards."""
    return [_check_writable(runs), _check_room(runs)]


def check_home() -> Check:
    """Where caches, history and profiles are kept."""
    said = said_of_home()
    if said:
        found, _, advice = said.rpartition("; ")
        return Check(name="home folder", status="warning", found=found, advice=f"{advice[0].upper()}{advice[1:]}.")
    return Check(name="home folder", status="ok", found=str(Path.home()))


def check_shared_memory() -> list[Check]:
    """Room for tensors passed between processes; nothing where the system has no such folder."""
    try:
        total = shutil.disk_usage(SHARED_MEMORY).total
    except OSError:
        return []
    if total < LITTLE_SHARED_BYTES:
        advice = "Loaders with workers may die with a bus error; start the container with --shm-size=8g or --ipc=host."
        return [Check(name="shared memory", status="warning", found=format_size(total), advice=advice)]
    return [Check(name="shared memory", status="ok", found=format_size(total))]


def _check_writable(runs: Path) -> Check:
    place = existing(runs)
    try:
        tempfile.TemporaryDirectory(prefix=".speedtui-", dir=place).cleanup()
    except OSError as error:
        found = f"{runs} cannot be written: {error.strerror or error}"
        advice = "Choose another folder for runs, or mend its permissions."
        return Check(name="runs folder", status="problem", found=found, advice=advice)
    made = "" if place == runs.absolute() else " (made with the first run)"
    return Check(name="runs folder", status="ok", found=f"{runs.absolute()} can be written{made}")


def _check_room(runs: Path) -> Check:
    name = "free disk"
    try:
        free = free_bytes(runs)
    except OSError as error:
        return Check(
            name=name, status="warning", found=f"unknown: {error.strerror}", advice="See that the disk answers."
        )
    found = f"{format_size(free)} where the runs are kept"
    if free < NO_DISK_BYTES:
        return Check(name=name, status="problem", found=found, advice="Make room, or choose another folder for runs.")
    if free < LITTLE_DISK_BYTES:
        advice = "Enough for adapters; checkpoints of a whole model may fill it."
        return Check(name=name, status="warning", found=found, advice=advice)
    return Check(name=name, status="ok", found=found)
