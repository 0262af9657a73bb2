"""How a device was over a stretch of time, from the readings that come once a second."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from speedtui.engine.efficiency import DeviceConditions
from speedtui.engine.events import DeviceSample, HardwareSampled

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
