from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from speedtui.engine.hardware.host import CounterRate, HostReader, existing
from speedtui.engine.units import MIB

HOLD_100_MIB = "held = b'x' * (100 << 20); print('ready', flush=True); input()"


def test_a_sample_is_plausible(tmp_path: Path) -> None:
    reader = HostReader(tmp_path)
    first = reader.sample()
    assert first.cpu_fraction is None
    assert first.disk_read_bytes_per_second is None
    time.sleep(0.3)
    sample = reader.sample()
    assert sample.cpu_fraction is not None and 0 <= sample.cpu_fraction <= 1
    assert sample.rss_bytes is not None and sample.rss_bytes > MIB
    assert sample.load_1m is not None and sample.load_1m >= 0
    assert sample.cores is not None and sample.cores >= 1
    assert sample.memory_available_bytes is not None and sample.memory_available_bytes > 0
    assert sample.disk_free_bytes is not None and sample.disk_free_bytes > 0


def test_busy_cores_show_as_a_higher_share(tmp_path: Path) -> None:
    reader = HostReader(tmp_path)
    reader.sample()
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        pass
    fraction, cores = reader.sample().cpu_fraction, reader.sample().cores
    assert fraction is not None and cores is not None
    assert fraction > 0.1 / cores


def test_memory_of_children_counts_and_ended_ones_do_no_harm(tmp_path: Path) -> None:
    alone = HostReader(tmp_path).sample().rss_bytes
    command = [sys.executable, "-c", HOLD_100_MIB]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        reader = HostReader(tmp_path)
        together = reader.sample().rss_bytes
        child.communicate(b"\n")
    after = reader.sample().rss_bytes
    assert alone is not None and together is not None and after is not None
    assert together > alone + 100 * MIB
    assert after < together - 100 * MIB


def test_free_space_is_known_for_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    assert existing(tmp_path / "runs" / "today") == tmp_path
    assert HostReader(tmp_path / "runs" / "today").sample().disk_free_bytes
    assert not (tmp_path / "runs").exists()


def test_a_rate_needs_two_readings_some_time_apart() -> None:
    change = CounterRate()
    assert change.rate(1000, per=10.0) is None
    assert change.rate(1500, per=10.05) is None
    assert change.rate(3000, per=12.0) == 1000
    assert change.rate(3000, per=13.0) == 0


def test_a_counter_that_starts_again_gives_no_rate() -> None:
    change = CounterRate()
    change.rate(1000, per=10.0)
    assert change.rate(5, per=11.0) is None
    assert change.rate(7, per=12.0) == 2
