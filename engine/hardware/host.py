"""What the operating system says of this machine and of this process."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from speedtui.engine.events import HostSample
from speedtui.engine.hardware.limits import available_memory_bytes, usable_cores

CHILDREN_SECONDS = 5.0
"""Between two searches for child processes, each of which reads every process of the machine; loaders' workers start
once an epoch."""
SHORTEST_INTERVAL_SECONDS = 0.1
"""Between two readings of counters for a rate; the kernel counts CPU time in steps of 0.01 s."""

T = TypeVar("T")


class HostReader:
    """Samples the host for the process that made it. A value that cannot be read is None."""

    def __init__(self, folder: Path) -> None:
        """`folder`: whose disk's free space is wanted; it need not exist yet."""
        self._folder = folder
        self._process = psutil.Process()
        self._children: list[psutil.Process] = []
        self._children_at: float | None = None
        self._cores = _or_none(usable_cores)
        self._cpu = Change()
        self._read = Change()
        self._written = Change()

    def sample(self) -> HostSample:
        """One reading. CPU and disk rates are those since the last one, so the first has none."""
        now = time.monotonic()
        disk = _or_none(psutil.disk_io_counters)
        return HostSample(
            cpu_fraction=_or_none(self._cpu_fraction),
            load_1m=_or_none(lambda: os.getloadavg()[0]),
            cores=self._cores,
            rss_bytes=_or_none(self._rss_bytes),
            memory_available_bytes=_or_none(available_memory_bytes),
            disk_read_bytes_per_second=None if disk is None else self._read.rate(disk.read_bytes, now),
            disk_write_bytes_per_second=None if disk is None else self._written.rate(disk.write_bytes, now),
            disk_free_bytes=_or_none(lambda: free_bytes(self._folder)),
        )

    def _cpu_fraction(self) -> float | None:
        """Busy time of all cores over their whole time, waiting for a disk not counted as busy."""
        times = psutil.cpu_times()._asdict()
        total = sum(times[name] for name in times if not name.startswith("guest"))  # guests are in user and nice too
        busy = total - times["idle"] - times.get("iowait", 0.0)
        fraction = self._cpu.rate(busy, total)
        return None if fraction is None else min(1.0, fraction)

    def _rss_bytes(self) -> int:
        """Resident bytes; pages shared with forked children count once for each."""
        now = time.monotonic()
        if self._children_at is None or now - self._children_at >= CHILDREN_SECONDS:
            self._children, self._children_at = self._process.children(recursive=True), now
        return self._process.memory_info().rss + sum(_rss_bytes(child) for child in self._children)


class Change:
    """A counter's growth over another one's, such as bytes over seconds."""

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None

    def rate(self, value: float, per: float) -> float | None:
        """Growth of `value` for one of `per` since the last call; None at first, after too short a time, or when the
        counter was reset."""
        last = self._last
        if last is not None and 0 <= per - last[1] < SHORTEST_INTERVAL_SECONDS:
            return None
        self._last = (value, per)
        if last is None or per < last[1] or value < last[0]:
            return None
        return (value - last[0]) / (per - last[1])


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


def _or_none(read: Callable[[], T | None]) -> T | None:
    try:
        return read()
    except Exception:  # each value stands alone, and which of them a kernel or container withholds differs
        return None
