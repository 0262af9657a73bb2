"""What the operating system says of this machine and of this process."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil
from msgspec import UNSET, UnsetType

from speedtui.engine.events import HostSample
from speedtui.engine.hardware.cgroup import ROOT
from speedtui.engine.hardware.cores import Cores, CounterRate
from speedtui.engine.hardware.limits import available_memory_bytes, memory_limit_bytes

CHILDREN_SECONDS = 5.0
"""Between two searches for child processes, each of which reads every process of the machine; loaders' workers start
once an epoch."""

T = TypeVar("T")


class HostReader:
    """Samples the host for the process that made it. A value that cannot be read is None."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        """`folder`: whose disk's free space is wanted; it need not exist yet. `root`: where /proc and /sys are."""
        self._folder = folder
        self._process = psutil.Process()
        self._children: list[psutil.Process] = []
        self._children_at: float | None = None
        self._root = root
        self._cores = _or_none(lambda: Cores(root))
        self._memory_limit = _or_none(lambda: memory_limit_bytes(root))
        self._read = CounterRate()
        self._written = CounterRate()

    def sample(self) -> HostSample:
        """One reading. CPU and disk rates are those since the last one, so the first has none."""
        now = time.monotonic()
        disk, cores = _or_none(psutil.disk_io_counters), self._cores
        return HostSample(
            cpu_fraction=None if cores is None else _or_none(cores.busy),
            cpu_waiting=UNSET if cores is None else _or_unset(_or_none(cores.waiting)),
            load_1m=_or_none(lambda: os.getloadavg()[0]),
            cores=None if cores is None else cores.usable,
            machine_cores=UNSET if cores is None else _or_unset(cores.of),
            rss_bytes=_or_none(self._rss_bytes),
            memory_available_bytes=_or_none(lambda: available_memory_bytes(self._root)),
            memory_limit_bytes=_or_unset(self._memory_limit),
            disk_read_bytes_per_second=None if disk is None else self._read.rate(disk.read_bytes, now),
            disk_write_bytes_per_second=None if disk is None else self._written.rate(disk.write_bytes, now),
            disk_free_bytes=_or_none(lambda: free_bytes(self._folder)),
        )

    def _rss_bytes(self) -> int:
        """Resident bytes; pages shared with forked children count once for each."""
        now = time.monotonic()
        if self._children_at is None or now - self._children_at >= CHILDREN_SECONDS:
            self._children, self._children_at = self._process.children(recursive=True), now
        return self._process.memory_info().rss + sum(_rss_bytes(child) for child in self._children)


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is or would be made.

    Raises:
        OSError: the disk does not answer.
    """
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    folder = folder.absolute()
    return next((place for place in (folder, *folder.parents) if os.path.exists(place)), Path("/"))  # never raises


def _rss_bytes(process: psutil.Process) -> int:
    """Resident bytes; 0 of a process that has ended or belongs to somebody else."""
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _or_unset(value: T | None) -> T | UnsetType:
    return UNSET if value is None else value


def _or_none(read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except Exception:  # each value stands alone, and which of them a kernel or container withholds differs
        return None
