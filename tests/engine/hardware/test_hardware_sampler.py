from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from speedtui.engine.events import AnyEvent, Device, DeviceSample, HardwareSampled, Notice
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.hardware.sampler import HardwareReader, HardwareSampler
from speedtui.engine.log.clock import RunClock

PATIENCE_SECONDS = 30
"""For a loaded machine; the tests wait for samples, not for time."""


class Collected:
    """Events as they come, and a way to wait for some."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []
        self._arrived = threading.Condition()

    def emit(self, event: AnyEvent) -> None:
        with self._arrived:
            self.events.append(event)
            self._arrived.notify_all()

    def wait_for_samples(self, count: int) -> list[HardwareSampled]:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.samples()) >= count, PATIENCE_SECONDS)
        return self.samples()

    def samples(self) -> list[HardwareSampled]:
        return [event for event in self.events if isinstance(event, HardwareSampled)]

    def notices(self) -> list[Notice]:
        return [event for event in self.events if isinstance(event, Notice)]


class BrokenAccelerator:
    """An accelerator whose driver raises from the second sample on."""

    def __init__(self) -> None:
        self.notes: tuple[str, ...] = ("Power is not shown.",)
        self._samples = 0

    def devices(self) -> list[Device]:
        return [Device(index=0, kind="cuda", name="Broken", memory_bytes=None)]

    def sample(self) -> list[DeviceSample]:
        self._samples += 1
        if self._samples > 1:
            self.notes = ("Power is not shown.", "The clock is gone.")
            raise RuntimeError("the bus is silent")
        return [DeviceSample(index=0, name="Broken", utilization=0.5)]

    def close(self) -> None:
        pass


class SlowAtFirst:
    """An accelerator whose driver takes long for its first answer."""

    SECONDS = 0.4
    notes: tuple[str, ...] = ()

    def __init__(self) -> None:
        self._pause = self.SECONDS

    def devices(self) -> list[Device]:
        return []

    def sample(self) -> list[DeviceSample]:
        time.sleep(self._pause)
        self._pause = 0.0
        return []

    def close(self) -> None:
        pass


def sampler(collected: Collected, devices: HardwareReader, folder: Path, period_seconds: float) -> HardwareSampler:
    return HardwareSampler(collected.emit, RunClock().now, devices, HostReader(folder), period_seconds)


def test_samples_come_in_order_and_the_first_at_once(tmp_path: Path) -> None:
    collected = Collected()
    an_hour = sampler(collected, NvmlReader(), tmp_path, period_seconds=3600)
    an_hour.start()
    assert len(collected.wait_for_samples(1)) == 1
    an_hour.stop()

    quick = sampler(collected, NvmlReader(), tmp_path, period_seconds=0.05)
    quick.start()
    samples = collected.wait_for_samples(4)[1:]
    quick.stop()
    assert [sample.t for sample in samples] == sorted({sample.t for sample in samples})
    assert all(sample.host.rss_bytes for sample in samples)


def test_after_a_slow_reading_missed_samples_are_left_out_instead_of_made_up_for(tmp_path: Path) -> None:
    collected = Collected()
    period = 0.05
    slow = sampler(collected, SlowAtFirst(), tmp_path, period)
    slow.start()
    times = [sample.t for sample in collected.wait_for_samples(8)]
    slow.stop()
    assert times[1] - times[0] >= SlowAtFirst.SECONDS
    assert all(later - earlier > 0.99 * period for earlier, later in zip(times, times[2:], strict=False))


def test_nothing_is_emitted_after_stop(tmp_path: Path) -> None:
    collected = Collected()
    stopped = sampler(collected, NvmlReader(), tmp_path, period_seconds=0.01)
    stopped.start()
    collected.wait_for_samples(2)
    stopped.stop()
    count = len(collected.events)
    time.sleep(0.1)
    assert len(collected.events) == count
    stopped.stop()


def test_a_sampler_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    sampler(Collected(), NvmlReader(), tmp_path, period_seconds=1).stop()


def test_an_exception_is_told_once_and_the_sampling_goes_on(tmp_path: Path) -> None:
    collected = Collected()
    broken = sampler(collected, BrokenAccelerator(), tmp_path, period_seconds=0.02)
    broken.start()
    samples = collected.wait_for_samples(5)
    broken.stop()
    assert samples[0].devices[0].utilization == 0.5
    assert samples[4].devices == []
    assert samples[4].host.rss_bytes
    assert [(notice.level, notice.text) for notice in collected.notices()] == [
        ("warning", "The devices cannot be read: RuntimeError: the bus is silent"),
        ("info", "The clock is gone."),
    ]


WATCHES = """
import sys, time, msgspec
from pathlib import Path
from speedtui.engine.events import Notice
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.hardware.sampler import HardwareSampler

def emit(event):
    if isinstance(event, Notice):
        said = [event.level, event.text]
    else:
        said = [device.lost or None for device in event.devices]
    print(msgspec.json.encode(said).decode(), flush=True)

sampler = HardwareSampler(emit, time.monotonic, NvmlReader(), HostReader(Path("/")), 0.02)
sampler.start()
sys.stdin.read()
sampler.stop()
"""


def test_a_lost_device_is_one_warning_and_its_return_is_told(
    driver_library: Callable[..., Path], tmp_path: Path
) -> None:
    switch = tmp_path / "lost"
    environment = os.environ | {"LD_LIBRARY_PATH": str(driver_library()), "STAND_IN_LOST": str(switch)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    child = subprocess.Popen(
        [sys.executable, "-c", WATCHES], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    said = map(json.loads, child.stdout)

    def until(lost: str | None, times: int) -> list[list[str]]:
        """Notices up to so many readings of the second device in this state."""
        notices = []
        while times:
            line = next(said)
            if line[0] in ("info", "warning"):
                notices.append(line)
            elif line == [None, lost]:
                times -= 1
        return notices

    try:
        assert until(None, 3) == []
        switch.touch()
        told = until("GPU is lost", 30)
        assert [(level, text.partition(":")[0]) for level, text in told] == [("warning", "GPU 1 is lost")]
        switch.unlink()
        ((level, text),) = until(None, 30)
        assert level == "info" and text.startswith("GPU 1 answers again, after ")
    finally:
        child.communicate("", timeout=PATIENCE_SECONDS)
