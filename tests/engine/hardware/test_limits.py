from __future__ import annotations

import os
from pathlib import Path

import psutil

from speedtui.engine.hardware.limits import available_memory_bytes, usable_cores, usable_memory_bytes
from speedtui.engine.units import GIB, MIB


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_without_control_groups_the_whole_machine_is_usable(tmp_path: Path) -> None:
    assert usable_memory_bytes(tmp_path) == psutil.virtual_memory().total
    assert usable_cores(tmp_path) == len(os.sched_getaffinity(0))


def test_the_lowest_limit_on_the_way_up_counts_in_version_2(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/slice/job\n",
            "sys/fs/cgroup/cgroup.procs": "",
            "sys/fs/cgroup/slice/memory.max": f"{300 * MIB}\n",
            "sys/fs/cgroup/slice/job/memory.max": "max\n",
            "sys/fs/cgroup/slice/job/cpu.max": "50000 100000\n",
        },
    )
    assert usable_memory_bytes(root) == 300 * MIB
    assert usable_cores(root) == 1


def test_a_container_that_sees_only_its_own_group_finds_its_limit_in_version_1(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/123\n4:memory:/docker/123\n",
            "sys/fs/cgroup/memory/cgroup.procs": "",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{200 * MIB}\n",
            "sys/fs/cgroup/cpu,cpuacct/cgroup.procs": "",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )
    assert usable_memory_bytes(root) == 200 * MIB
    assert usable_cores(root) == 1


def test_unlimited_groups_leave_the_whole_machine(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu:/\n4:memory:/\n0::/\n",
            "sys/fs/cgroup/cgroup.procs": "",
            "sys/fs/cgroup/cpu.max": "max 100000\n",
            "sys/fs/cgroup/memory.max": "max\n",
            "sys/fs/cgroup/memory/cgroup.procs": "",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/cpu/cgroup.procs": "",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        },
    )
    assert usable_memory_bytes(root) == psutil.virtual_memory().total
    assert usable_cores(root) == len(os.sched_getaffinity(0))


def test_file_cache_counts_as_available(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/cgroup.procs": "",
            "sys/fs/cgroup/memory.max": f"{100 * MIB}\n",
            "sys/fs/cgroup/memory.current": f"{90 * MIB}\n",
            "sys/fs/cgroup/memory.stat": f"anon {30 * MIB}\ninactive_file {50 * MIB}\n",
        },
    )
    assert available_memory_bytes(root) == 60 * MIB


def test_this_machine_has_memory_and_cores() -> None:
    assert 64 * MIB < available_memory_bytes() <= usable_memory_bytes() < 1_000_000 * GIB
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
