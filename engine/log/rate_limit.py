"""How much of a log may be readings that come by the clock, so that a long run leaves a log of bounded size."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from speedtui.engine import events as e

BYTES_PER_SECOND: dict[type[e.AnyEvent], float] = {e.HardwareSampled: 575.0, e.EtaUpdated: 120.0}
"""Of each kind, over a long time. With three lines of steps a second, twelve hours then stay below 100 MB, which is
2315 bytes a second. One device and its host are some 560 bytes, so that they are told every second, and more devices
less often; an estimate is some 230, so that it is told every two seconds."""
SAVED_SECONDS = 60.0
"""Worth of bytes that may be written at once: the first minutes of a run are told in full."""


class RateLimit:
    """Says which readings are written. Each stands alone, so one that is left out is replaced by the next.

    A kind of reading saves up `BYTES_PER_SECOND` and is written while it has any left.
    """

    def __init__(self) -> None:
        self._saved: dict[type[e.AnyEvent], tuple[float, float]] = {}
        self._verdict: e.Verdict | None = None

    def lets(self, event: e.AnyEvent, size: int) -> bool:
        """Whether this event of so many bytes is written."""
        rate = BYTES_PER_SECOND.get(type(event))
        if rate is None:
            return True
        saved, t = self._saved.get(type(event), (rate * SAVED_SECONDS, event.t))
        saved = min(saved + max(event.t - t, 0.0) * rate, rate * SAVED_SECONDS)
        news = self._is_news(event)
        written = news or saved > 0
        self._saved[type(event)] = (saved - size if written else saved, event.t)
        return written

    def _is_news(self, event: e.AnyEvent) -> bool:
        """A verdict that is another one is told at once."""
        if not isinstance(event, e.EtaUpdated):
            return False
        changed = event.verdict != self._verdict
        self._verdict = event.verdict
        return changed


def worth_writing(event: e.AnyEvent) -> e.AnyEvent:
    """A reading without the digits that say nothing: it comes as a float's sixteen."""
    if isinstance(event, e.HardwareSampled):
        return e.HardwareSampled(
            t=round(event.t, 3), devices=[_device(device) for device in event.devices], host=_host(event.host)
        )
    return event


def _device(sample: e.DeviceSample) -> e.DeviceSample:
    return replace(
        sample, utilization=_to(3, sample.utilization), power_watts=_to(1, sample.power_watts),
        temperature_celsius=_to(1, sample.temperature_celsius),
    )  # fmt: skip


def _host(sample: e.HostSample) -> e.HostSample:
    return replace(
        sample, cpu_fraction=_to(3, sample.cpu_fraction), load_1m=_to(2, sample.load_1m),
        cpu_waiting=round(sample.cpu_waiting, 3) if sample.cpu_waiting is not UNSET else UNSET,
        disk_read_bytes_per_second=_to(0, sample.disk_read_bytes_per_second),
        disk_write_bytes_per_second=_to(0, sample.disk_write_bytes_per_second),
    )  # fmt: skip


def _to(decimals: int, value: float | None) -> float | None:
    return None if value is None else round(value, decimals)
