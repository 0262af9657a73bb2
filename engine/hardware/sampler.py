"""Readings of the hardware as events, once a second, from a thread of their own; how a device was over a stretch."""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from speedtui.engine.efficiency import DeviceConditions
from speedtui.engine.events import Device, DeviceSample, HardwareSampled, HostSample, Level, Notice
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.units import format_span


class HardwareReader(Protocol):
    """Reads one kind of accelerator.

    It raises nothing for what it cannot see: the value is None, and a note says why.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What it cannot see and why, each once, for people; it may grow while sampling."""

    def devices(self) -> list[Device]:
        """The devices that a worker of this environment would see, in torch's order; empty where there are none."""

    def sample(self) -> list[DeviceSample]:
        """One reading of each device, in the order of `devices`."""

    def close(self) -> None:
        """Lets go of the driver; afterwards there are no devices."""


PERIOD_SECONDS = 1.0
"""Between two samples: NVML averages its own readings over up to a second."""
LOST_HINT = (
    "What ran on it has failed. `nvidia-smi --gpu-reset` or a restart of the machine brings most back; "
    "the kernel's log (dmesg) has the reason as an Xid."
)
STOP_SECONDS = 5.0
"""Waited for the thread to end; a driver call that hangs is left behind with its daemon thread."""

T = TypeVar("T")


class HardwareSampler:
    """Emits HardwareSampled at a fixed rate that does not drift, the first at once."""

    def __init__(
        self,
        emit: Callable[[HardwareSampled | Notice], None],
        now: Callable[[], float],
        devices: HardwareReader,
        host: HostReader,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        """`emit` is called from the sampler's thread; `now` gives an event's `t`. The readers stay the caller's."""
        self._emit = emit
        self._now = now
        self._devices = devices
        self._host = host
        self._period = period_seconds
        self._told = set(devices.notes)
        self._lost: dict[int, float] = {}
        """Since when a device does not answer, by its index."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hardware-sampler", daemon=True)

    def start(self) -> None:
        """Begins to sample; to be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the sampling; nothing is emitted any more once the thread has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        started = time.monotonic()
        beat = 0
        while not self._stopping.wait(max(0.0, started + beat * self._period - time.monotonic())):
            self._sample()
            passed = (time.monotonic() - started) / self._period
            beat = max(beat + 1, math.ceil(passed))  # beats missed during a slow reading are left out

    def _sample(self) -> None:
        t = self._now()
        no_devices: list[DeviceSample] = []
        devices = self._guarded("devices", self._devices.sample, no_devices)
        host = self._guarded("host", self._host.sample, HostSample())
        self._emit(HardwareSampled(t=t, devices=devices, host=host))
        for device in devices:
            self._tell_lost(device, t)
        for note in self._devices.notes:
            self._tell("info", note)

    def _tell_lost(self, device: DeviceSample, t: float) -> None:
        """One warning when it goes, and a word when it is back."""
        if device.lost and device.index not in self._lost:
            self._lost[device.index] = t
            text = f"GPU {device.index} is lost: the driver says {device.lost!r}"
            self._emit(Notice(t=t, level="warning", text=text, hint=LOST_HINT))
        elif not device.lost and device.index in self._lost:
            gone = format_span(t - self._lost.pop(device.index))
            self._emit(Notice(t=t, level="info", text=f"GPU {device.index} answers again, after {gone}"))

    def _guarded(self, what: str, sample: Callable[[], T], otherwise: T) -> T:
        try:
            return sample()
        except Exception as error:  # a reading is never worth a training run
            self._tell("warning", f"The {what} cannot be read: {type(error).__name__}: {error}")
            return otherwise

    def _tell(self, level: Level, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._emit(Notice(t=self._now(), level=level, text=text))


KEPT = 600
"""Readings: ten minutes, more than the steps that a trial is judged by take."""


class RecentReadings:
    """The last readings. The sampler's thread adds to them, any other may ask."""

    def __init__(self) -> None:
        self._readings: deque[HardwareSampled] = deque(maxlen=KEPT)

    def take(self, reading: HardwareSampled) -> None:
        """Adds one."""
        self._readings.append(reading)

    def conditions(self, begin: float, end: float, index: int = 0) -> DeviceConditions | None:
        """How the device was from `begin` to `end` on the run's clock; None where no reading fell there."""
        inside = [reading for reading in tuple(self._readings) if begin <= reading.t <= end]
        return summarize([device for reading in inside for device in reading.devices if device.index == index])


def summarize(samples: Sequence[DeviceSample]) -> DeviceConditions | None:
    """Readings of one device in figures; each of those that were read, None where none was."""
    if not samples:
        return None
    clocks = [sample.sm_clock_mhz for sample in samples if sample.sm_clock_mhz is not None]
    heat = [sample.temperature_celsius for sample in samples if sample.temperature_celsius is not None]
    watts = [sample.power_watts for sample in samples if sample.power_watts is not None]
    return DeviceConditions(
        readings=len(samples),
        sm_clock_mhz=statistics.median(clocks) if clocks else None,
        lowest_sm_clock_mhz=min(clocks, default=None),
        highest_celsius=max(heat, default=None),
        power_watts=statistics.median(watts) if watts else None,
        throttled_fraction=_share([sample.throttled for sample in samples]),
        power_capped_fraction=_share([sample.power_capped for sample in samples]),
    )


def _share(said: Sequence[bool | None]) -> float | None:
    """Of those that said yes among those that said anything."""
    known = [value for value in said if value is not None]
    return sum(known) / len(known) if known else None
