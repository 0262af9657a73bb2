"""The control groups that this process is in, of version 1 and 2: what a container, a batch job or a service may use.

Formats: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/ and accounting/psi.rst of the Linux kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

ROOT = Path("/")
"""Where /proc and /sys are."""

MOUNTS = {"": ("sys/fs/cgroup", "sys/fs/cgroup/unified"), "memory": ("sys/fs/cgroup/memory",),
          "cpu": ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"), "cpuset": ("sys/fs/cgroup/cpuset",),
          "cpuacct": ("sys/fs/cgroup/cpuacct", "sys/fs/cgroup/cpu,cpuacct")}  # fmt: skip
"""Where each controller of control groups usually is; the one of version 2 has no name."""

T = TypeVar("T")


class Quota(NamedTuple):
    """A limit of CPU time."""

    cores: float
    """As many could be used all the time."""
    folder: Path
    """Of the group that has it."""


def cpu_quota(root: Path = ROOT) -> Quota | None:
    """The lowest one there is; None without a limit."""
    quotas = [(cores, folder) for folder in groups(root, "") if (cores := _quota_v2(folder)) is not None]
    quotas += [(cores, folder) for folder in groups(root, "cpu") if (cores := _quota_v1(folder)) is not None]
    return Quota(*min(quotas)) if quotas else None


def cpuset_size(root: Path = ROOT) -> int | None:
    """How many cores the groups leave this process; None where they do not say."""
    effective = of_each(root, "", lambda folder: _count(folder / "cpuset.cpus.effective"))
    effective += of_each(root, "cpuset", lambda folder: _count(folder / "cpuset.effective_cpus"))
    return min(effective, default=None)


def used_seconds(root: Path, folder: Path) -> float | None:
    """CPU time that a group has used; None where it is not told."""
    micro = pairs(folder / "cpu.stat").get("usage_usec")
    if micro is not None:
        return micro / 1e6
    nano = next((count for file in _counts(root, folder) if (count := number(file)) is not None), None)
    return None if nano is None else nano / 1e9


def waited_seconds(folder: Path) -> float | None:
    """Time in which something of a group waited for a core, or was held back by a limit; version 2 with PSI alone."""
    for line in lines(folder / "cpu.pressure"):
        kind, *values = line.split()
        total = next((value for value in values if value.startswith("total=")), "")
        if kind == "some" and total[6:].isdecimal():
            return int(total[6:]) / 1e6
    return None


def groups(root: Path, controller: str) -> list[Path]:
    """This process's control group and those above it: each may set a limit. A container often sees only the top."""
    inside = _path_inside(root, controller)
    if inside is None:
        return []
    mounts = [root / mount for mount in MOUNTS[controller] if (root / mount / "cgroup.procs").exists()]
    return [mount / part for mount in mounts for part in (inside, *inside.parents) if (mount / part).is_dir()]


def of_each(root: Path, controller: str, read: Callable[[Path], T | None]) -> list[T]:
    """What the groups say, each where it says anything."""
    return [limit for folder in groups(root, controller) if (limit := read(folder)) is not None]


def number(file: Path) -> int | None:
    """A file of one number; None for `max` and where there is no such file."""
    words = " ".join(lines(file)).split()
    return int(words[0]) if words and words[0].lstrip("-").isdecimal() else None


def pairs(file: Path) -> dict[str, int]:
    """A file of names and numbers."""
    words = " ".join(lines(file)).split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2], strict=False) if value.isdecimal()}


def lines(file: Path) -> list[str]:
    """Of a file of the kernel's; none where it cannot be read."""
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _counts(root: Path, folder: Path) -> Iterator[Path]:
    """The file in which version 1 counts the CPU time of a group of its `cpu` tree: another tree, the same path."""
    for mount in (root / name for name in MOUNTS["cpu"]):
        if folder.is_relative_to(mount):
            yield from (root / twin / folder.relative_to(mount) / "cpuacct.usage" for twin in MOUNTS["cpuacct"])


def _path_inside(root: Path, controller: str) -> Path | None:
    """From lines such as `4:memory:/job` (version 1) and `0::/job` (version 2)."""
    for line in lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return Path(path.lstrip("/"))
    return None


def _quota_v2(folder: Path) -> float | None:
    """From `200000 100000`, microseconds of CPU time in each period, or `max 100000`."""
    words = " ".join(lines(folder / "cpu.max")).split()
    quota, period = (int(word) if word.isdecimal() else 0 for word in (*words, "", "")[:2])
    return quota / period if quota and period else None


def _quota_v1(folder: Path) -> float | None:
    quota, period = number(folder / "cpu.cfs_quota_us"), number(folder / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None  # -1 stands for no limit


def _count(file: Path) -> int | None:
    """Cores of a list such as `0-3,8`."""
    text = "".join(lines(file)).strip()
    try:
        ranges = [part.partition("-") for part in text.split(",") if part]
        return sum(int(last or first) - int(first) + 1 for first, _, last in ranges) or None
    except ValueError:
        return None
