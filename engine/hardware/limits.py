"""What of this machine a process may use: its cores and its memory, with a container's limits."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path("/")
"""Where /proc and /sys are."""

MOUNTS = {"": ("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory": ("sys/fs/cgroup/memory",),
          "cpu": ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct")}  # fmt: skip
"""Where each controller of control groups usually is; the one of version 2 has no name."""

N = TypeVar("N", int, float)


def usable_cores(root: Path = ROOT) -> int:
    """Cores that this process may run on at a time: its affinity, and a container's share of CPU time rounded up."""
    shares = _limits(root, "", _cores_v2) + _limits(root, "cpu", _cores_v1)
    return max(1, min([len(os.sched_getaffinity(0)), *(math.ceil(share) for share in shares)]))


def usable_memory_bytes(root: Path = ROOT) -> int:
    """The machine's memory, or a container's limit where that is lower."""
    return min([psutil.virtual_memory().total, *_memory_limits(root)])


def available_memory_bytes(root: Path = ROOT) -> int:
    """What can still be taken before the machine swaps or the container's limit kills a process.

    File cache counts as available: the kernel gives it up first.
    """
    free = _limits(root, "", _memory_left_v2) + _limits(root, "memory", _memory_left_v1)
    return max(0, min([psutil.virtual_memory().available, *free]))


def _memory_limits(root: Path) -> list[int]:
    limits = _limits(root, "", lambda folder: _number(folder / "memory.max"))
    return limits + _limits(root, "memory", lambda folder: _number(folder / "memory.limit_in_bytes"))


def _limits(root: Path, controller: str, read: Callable[[Path], N | None]) -> list[N]:
    return [limit for folder in _folders(root, controller) if (limit := read(folder)) is not None]


def _folders(root: Path, controller: str) -> list[Path]:
    """This process's control group and those above it: each may set a limit. A container often sees only the top."""
    inside = _path_inside(root, controller)
    if inside is None:
        return []
    mounts = [root / mount for mount in MOUNTS[controller] if (root / mount / "cgroup.procs").exists()]
    return [mount / part for mount in mounts for part in (inside, *inside.parents) if (mount / part).is_dir()]


def _path_inside(root: Path, controller: str) -> Path | None:
    """From lines such as `4:memory:/job` (version 1) and `0::/job` (version 2)."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(path.lstrip("/"))
    return None


def _cores_v2(folder: Path) -> float | None:
    """From `200000 100000`, microseconds of CPU time in each period, or `max 100000`."""
    words = _words(folder / "cpu.max")
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _cores_v1(folder: Path) -> float | None:
    quota, period = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None  # -1 stands for no limit


def _memory_left_v2(folder: Path) -> int | None:
    return _memory_left(folder, "memory.max", "memory.current", "inactive_file")


def _memory_left_v1(folder: Path) -> int | None:
    return _memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _memory_left(folder: Path, limit_file: str, usage_file: str, cache_name: str) -> int | None:
    limit, usage = _number(folder / limit_file), _number(folder / usage_file)
    if limit is None or usage is None:
        return None
    words = _words(folder / "memory.stat")
    cache = dict(zip(words[::2], words[1::2], strict=False)).get(cache_name, "0")
    return limit - usage + int(cache)


def _number(file: Path) -> int | None:
    words = _words(file)
    return int(words[0]) if words and words[0].lstrip("-").isdigit() else None


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
