"""What the driver and the operating system say."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

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
    lost: str | UnsetType = UNSET
    """The driver's reason, such as `GPU is lost`, where the device does not answer any more; left out while it does:
    a reading comes every second, and each byte of it is one of the log's."""


class HostSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the operating system said."""

    cpu_fraction: float | None = None
    """Of the cores that the worker may use: of a container its own, with nobody else's work on the machine."""
    cpu_waiting: float | UnsetType = UNSET
    """Of the time: something of the container's waited for a core or was held back by its limit. Left out where all of
    the machine may be used and where the kernel does not tell."""
    load_1m: float | None = None
    """The machine's, with the work of other containers on it."""
    cores: int | None = None
    """That the worker may use."""
    machine_cores: int | UnsetType = UNSET
    """All there are, with those of other containers; left out where the worker may use them all."""
    rss_bytes: int | None = None
    """The worker and its children."""
    memory_available_bytes: int | None = None
    """That the worker may still take."""
    memory_limit_bytes: int | UnsetType = UNSET
    """Of the container; left out where all of the machine's memory may be used."""
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    disk_free_bytes: int | None = None
    """Where the runs folder is."""


class HardwareSampled(Event, frozen=True, kw_only=True):
    """Once a second, from t = 0; less often in the log of many devices."""

    devices: list[DeviceSample]
    host: HostSample
