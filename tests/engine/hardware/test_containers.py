"""A share of a machine: of its cores, its memory and its work nothing but one's own is told as one's own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from msgspec import UNSET

from speedtui.engine.events import HostSample
from speedtui.engine.hardware.cgroup import cpuset_size
from speedtui.engine.hardware.cores import Cores
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.units import MIB
from tests.engine.hardware.test_limits import write

MACHINE = os.cpu_count() or 1
HALF = MACHINE / 2
"""Cores of the container."""
VERSION_2 = {
    "proc/self/cgroup": "0::/pod/job\n",
    "sys/fs/cgroup/cgroup.procs": "",
    "sys/fs/cgroup/pod/cpu.max": f"{int(HALF * 100_000)} 100000\n",
    "sys/fs/cgroup/pod/cpu.stat": "usage_usec 5000000\nnr_periods 100\nnr_throttled 10\n",
    "sys/fs/cgroup/pod/cpu.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1000000\nfull avg10=0.00 total=7\n",
    "sys/fs/cgroup/pod/memory.max": f"{300 * MIB}\n",
    "sys/fs/cgroup/pod/memory.current": f"{100 * MIB}\n",
    "sys/fs/cgroup/pod/job/cpu.max": "max 100000\n",
}
VERSION_1 = {
    "proc/self/cgroup": "7:cpuacct:/docker/1\n6:cpu:/docker/1\n5:memory:/docker/1\n0::/\n",
    "sys/fs/cgroup/cpu/cgroup.procs": "",
    "sys/fs/cgroup/cpu/docker/1/cpu.cfs_quota_us": f"{int(HALF * 100_000)}\n",
    "sys/fs/cgroup/cpu/docker/1/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/cpu/docker/1/cpu.stat": "nr_periods 100\nnr_throttled 10\nthrottled_time 77\n",
    "sys/fs/cgroup/cpuacct/cgroup.procs": "",
    "sys/fs/cgroup/cpuacct/docker/1/cpuacct.usage": "5000000000\n",
    "sys/fs/cgroup/memory/cgroup.procs": "",
    "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": f"{300 * MIB}\n",
    "sys/fs/cgroup/memory/docker/1/memory.usage_in_bytes": f"{100 * MIB}\n",
}


def when(reader: HostReader, told: Callable[[HostSample], bool]) -> HostSample:
    """The first sample of which this holds: two too close together give no rate."""
    give_up = time.monotonic() + 60
    while not told(sample := reader.sample()):
        assert time.monotonic() < give_up, sample
        time.sleep(0.02)
    return sample


@pytest.mark.parametrize("files", [VERSION_2, VERSION_1], ids=["version 2", "version 1"])
def test_a_container_is_told_its_own_limits_and_its_own_work(tmp_path: Path, files: dict[str, str]) -> None:
    root = write(tmp_path, files)
    reader = HostReader(tmp_path, root)
    first = reader.sample()
    assert (first.cores, first.machine_cores) == (-(-MACHINE // 2), MACHINE)
    assert first.memory_limit_bytes == 300 * MIB
    assert first.memory_available_bytes == min(200 * MIB, psutil.virtual_memory().available)
    idle = when(reader, lambda sample: sample.cpu_fraction is not None)
    assert idle.cpu_fraction == 0.0  # whatever this machine does meanwhile


def test_a_container_that_uses_all_it_may_is_busy_and_so_is_one_that_is_held_back(tmp_path: Path) -> None:
    for name, files in (("two", VERSION_2), ("one", VERSION_1)):
        root = write(tmp_path / name, files)
        reader = HostReader(tmp_path, root)
        reader.sample()
        grown = {
            "sys/fs/cgroup/pod/cpu.stat": "usage_usec 900000000\nnr_periods 200\nnr_throttled 90\n",
            "sys/fs/cgroup/cpu/docker/1/cpu.stat": "nr_periods 200\nnr_throttled 90\nthrottled_time 99\n",
            "sys/fs/cgroup/cpuacct/docker/1/cpuacct.usage": "900000000000\n",
        }
        write(root, {path: text for path, text in grown.items() if path in files})
        assert when(reader, lambda sample: bool(sample.cpu_waiting)).cpu_waiting == pytest.approx(0.8)
        write(root, {"sys/fs/cgroup/pod/cpu.stat": "usage_usec 9900000000\n"} if name == "two" else {
            "sys/fs/cgroup/cpuacct/docker/1/cpuacct.usage": "9900000000000\n"})  # fmt: skip
        assert when(reader, lambda sample: bool(sample.cpu_fraction)).cpu_fraction == 1.0


def test_what_waits_for_a_core_is_told_where_the_kernel_tells_it(tmp_path: Path) -> None:
    root = write(tmp_path, VERSION_2)
    cores = Cores(root)
    cores.waiting()
    write(root, {"sys/fs/cgroup/pod/cpu.pressure": "some avg10=99.00 total=900000000\nfull avg10=0.00 total=8\n"})
    give_up = time.monotonic() + 60
    while (share := cores.waiting()) is None:
        assert time.monotonic() < give_up
    assert share == 1.0


def test_the_cores_of_a_set_are_counted(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "3:cpuset:/x\n0::/\n", "sys/fs/cgroup/cgroup.procs": "",
             "sys/fs/cgroup/cpuset/cgroup.procs": ""}  # fmt: skip
    for text, count in (("0-3,8\n", 5), ("7\n", 1), ("\n", None), ("damaged", None)):
        root = write(tmp_path / text.strip(" \n").replace(",", "_"), files)
        write(root, {"sys/fs/cgroup/cpuset.cpus.effective": text, "sys/fs/cgroup/cpuset/x/cpuset.effective_cpus": text})
        assert cpuset_size(root) == count


@pytest.mark.parametrize("text", ["", "max", "garbage words", "1 0", "\x00\xff", "9" * 400])
def test_files_of_no_sense_are_no_limits(tmp_path: Path, text: str) -> None:
    root = write(tmp_path, {name: text if name.startswith("sys") else line for name, line in VERSION_2.items()})
    sample = HostReader(tmp_path, root).sample()
    assert sample.cores == len(os.sched_getaffinity(0))
    assert sample.cpu_waiting is UNSET


# -- the real thing ----------------------------------------------------------------------------------

IN_IT = """
import sys, msgspec
from pathlib import Path
from speedtui.engine.hardware.host import HostReader
print("ready", flush=True)
sys.stdin.readline()
reader = HostReader(Path("/"))
while (sample := reader.sample()).cpu_fraction is None or not (sample.cpu_waiting or 0) > 0.5:
    for _ in range(100_000):
        pass
print(msgspec.json.encode(sample).decode())
"""


@pytest.fixture
def group() -> Iterator[list[Path]]:
    """A real control group that may use a twentieth of a core: its folder, and of version 1 that of its twin tree."""
    second = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    name = f"speedtui-test-{os.getpid()}"
    folders = [Path("/sys/fs/cgroup", tree, name) for tree in (("",) if second else ("cpu", "cpuacct"))]
    made: list[Path] = []
    try:
        for folder in folders:
            if not folder.exists():  # both trees may be one
                folder.mkdir()
                made.append(folder)
        if second:
            (folders[0] / "cpu.max").write_text("5000 100000")
        else:
            (folders[0] / "cpu.cfs_quota_us").write_text("5000")
    except OSError:
        pytest.skip("a control group with a limit cannot be made here")
    else:
        yield folders
    finally:
        for folder in made:
            folder.rmdir()


def test_a_real_group_that_is_held_back_says_so(group: list[Path]) -> None:
    child = subprocess.Popen([sys.executable, "-c", IN_IT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        for folder in group:
            (folder / "cgroup.procs").write_text(str(child.pid))
        answer, _ = child.communicate(b"\n", timeout=120)
    finally:
        child.kill()
        child.wait()
    assert b'"cores":1,' in answer
