"""What of this machine a process may use: its cores and its memory, with a container's limits."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil

from speedtui.engine.hardware.cgroup import ROOT, cpu_quota, cpuset_size, number, of_each, pairs
from speedtui.engine.units import plural


def usable_cores(root: Path = ROOT) -> int:
    """Cores that this process may run on at a time: its affinity, and a container's share of CPU time rounded up."""
    quota, cores = cpu_quota(root), cpuset_size(root)
    shares = [math.ceil(quota.cores)] if quota is not None else []
    return max(1, min([len(os.sched_getaffinity(0)), *shares, *([cores] if cores is not None else [])]))


def too_many_workers(count: int) -> str:
    """What is wrong with so many loader processes here; empty where each can have a core."""
    cores = usable_cores()
    if count <= cores:
        return ""
    return f"train.loader_workers {count} is more than the {plural(cores, 'core')} that may be used here"


def usable_memory_bytes(root: Path = ROOT) -> int:
    """The machine's memory, or a container's limit where that is lower."""
    return min([psutil.virtual_memory().total, *_memory_limits(root)])


def memory_limit_bytes(root: Path = ROOT) -> int | None:
    """A container's limit; None where there is none below the machine's memory."""
    limit = usable_memory_bytes(root)
    return limit if limit < psutil.virtual_memory().total else None


def available_memory_bytes(root: Path = ROOT) -> int:
    """What can still be taken before the machine swaps or the container's limit kills a process.

    File cache counts as available: the kernel gives it up first.
    """
    free = of_each(root, "", _memory_left_v2) + of_each(root, "memory", _memory_left_v1)
    return max(0, min([psutil.virtual_memory().available, *free]))


def _memory_limits(root: Path) -> list[int]:
    limits = of_each(root, "", lambda folder: number(folder / "memory.max"))
    return limits + of_each(root, "memory", lambda folder: number(folder / "memory.limit_in_bytes"))


def _memory_left_v2(folder: Path) -> int | None:
    return _memory_left(folder, "memory.max", "memory.current", "inactive_file")


def _memory_left_v1(folder: Path) -> int | None:
    return _memory_left(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _memory_left(folder: Path, limit_file: str, usage_file: str, cache_name: str) -> int | None:
    limit, usage = number(folder / limit_file), number(folder / usage_file)
    if limit is None or usage is None:
        return None
    return limit - usage + pairs(folder / "memory.stat").get(cache_name, 0)
