"""How busy the cores are that this process may use: a container's or a batch job's own where it has fewer than all."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil

from speedtui.engine.hardware.cgroup import ROOT, cpu_quota, groups, pairs, used_seconds, waited_seconds
from speedtui.engine.hardware.limits import usable_cores

SHORTEST_INTERVAL_SECONDS = 0.1
"""Between two readings of counters for a rate; the kernel counts CPU time in steps of 0.01 s."""


class CounterRate:
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


class Cores:
    """Shares of the time of the cores that this process may use, since the last look.

    The load average and the times of all cores are the machine's, whoever works on it: in a container they tell of
    other people's work on cores that are not ours.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.usable = usable_cores(root)
        machine = os.cpu_count() or 1
        self._root = root
        self._quota = cpu_quota(root)
        self._allowed = os.sched_getaffinity(0)
        share = self._quota.cores if self._quota is not None else machine
        self.of = machine if min(self.usable, share) < machine else None
        """All cores of the machine; None where this process may use them all."""
        self._group = next(iter([*([self._quota.folder] if self._quota else []), *groups(root, "")]), None)
        self._used, self._waited, self._held = CounterRate(), CounterRate(), CounterRate()

    def busy(self) -> float | None:
        """Of all that may be used: the group's own work where CPU time is what is limited, else what these cores do."""
        if self._quota is not None and self._quota.cores < len(self._allowed):
            used = used_seconds(self._root, self._quota.folder)
            rate = None if used is None else self._used.rate(used, time.monotonic())
            return None if rate is None else min(1.0, rate / self._quota.cores)
        busy, total = self._times()
        fraction = self._used.rate(busy, total)
        return None if fraction is None else min(1.0, fraction)

    def waiting(self) -> float | None:
        """Of the time: something of ours waited for a core, or was held back by the limit; None where all of the
        machine may be used, since then its load says it, and where the kernel does not tell."""
        if self.of is None or self._group is None:
            return None
        waited, stat = waited_seconds(self._group), pairs(self._group / "cpu.stat")
        said = [None if waited is None else self._waited.rate(waited, time.monotonic())]
        if "nr_periods" in stat:
            said.append(self._held.rate(stat.get("nr_throttled", 0), stat["nr_periods"]))
        known = [share for share in said if share is not None]
        return min(1.0, max(known)) if known else None

    def _times(self) -> tuple[float, float]:
        """(busy, whole) seconds of the cores that this process may run on; waiting for a disk is not busy."""
        cores: list[Any] = psutil.cpu_times(percpu=True)
        ours = [core for number, core in enumerate(cores) if number in self._allowed] or cores
        busy = total = 0.0
        for times in (core._asdict() for core in ours):
            whole = sum(times[name] for name in times if not name.startswith("guest"))  # guests are in user and nice
            busy, total = busy + whole - times["idle"] - times.get("iowait", 0.0), total + whole
        return busy, total
