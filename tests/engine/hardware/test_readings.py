"""A device's state over a stretch of time, from readings once a second."""

from __future__ import annotations

from typing import Any

from speedtui.engine.events import DeviceSample, HardwareSampled, HostSample
from speedtui.engine.hardware.sampler import RecentReadings


def reading(t: float, *devices: dict[str, Any]) -> HardwareSampled:
    samples = [DeviceSample(**{"index": i, "name": "GPU", **values}) for i, values in enumerate(devices)]
    return HardwareSampled(t=t, devices=samples, host=HostSample())


def test_only_the_readings_of_the_stretch_and_of_the_device_count() -> None:
    readings = RecentReadings()
    readings.take(reading(1.0, {"sm_clock_mhz": 300, "temperature_celsius": 90.0}))
    for i, clock in enumerate((1980, 1755, 1980, 1965)):
        mine = {"sm_clock_mhz": clock, "temperature_celsius": 60.0 + i, "power_watts": 600.0, "throttled": False,
                "power_capped": i > 0}  # fmt: skip
        readings.take(reading(2.0 + i, mine, {"sm_clock_mhz": 210, "throttled": True}))
    found = readings.conditions(2.0, 5.0)
    assert found is not None
    assert (found.readings, found.sm_clock_mhz, found.lowest_sm_clock_mhz) == (4, 1972.5, 1755)
    assert (found.highest_celsius, found.power_watts) == (63.0, 600.0)
    assert (found.throttled_fraction, found.power_capped_fraction) == (0.0, 0.75)
    other = readings.conditions(2.0, 5.0, index=1)
    assert other is not None and other.throttled_fraction == 1.0 and other.power_capped_fraction is None


def test_where_nothing_was_read_nothing_is_known() -> None:
    readings = RecentReadings()
    assert readings.conditions(0.0, 10.0) is None
    readings.take(reading(1.0))
    assert readings.conditions(0.0, 10.0) is None, "a machine without a device"
    readings.take(reading(2.0, {}))
    silent = readings.conditions(0.0, 10.0)
    assert silent is not None and silent.readings == 1
    assert silent.sm_clock_mhz is silent.highest_celsius is silent.throttled_fraction is None
