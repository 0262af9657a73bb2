"""What the driver and the operating system say."""

from __future__ import annotations

import msgspec

from speedtui.engine.events.base import Event


class DeviceSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver said of one device."""

    index: int
    name: str
    utilization: float | None = None
    """Share of the sampling time in which a kernel was running, however little of the device it used."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttled: bool | None = None
    """Something that should not be keeps it slower than it could be: heat, a hardware slowdown, a power brake."""
    power_capped: bool | None = None
    """Its power limit keeps it from a higher clock: the usual state of a healthy device at full load."""


class HostSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the operating system said."""

    cpu_fraction: float | None = None
    """Of all cores."""
    load_1m: float | None = None
    cores: int | None = None
    rss_bytes: int | None = None
    """The worker and its children."""
    memory_available_bytes: int | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    disk_free_bytes: int | None = None
    """Where the runs folder is."""


class HardwareSampled(Event, frozen=True, kw_only=True):
    """Once a second, from t = 0; less often in the log of many devices."""

    devices: list[DeviceSample]
    host: HostSample
