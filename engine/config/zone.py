"""The local zone as the C library has it, and zones by name or offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)")


class LocalZone(tzinfo):
    """Asks the C library for each moment's offset, so that a deadline is read by the very rules that times are shown
    by, those of its own day: of `/etc/localtime`, or of the zone or the bare rule in TZ, which zoneinfo cannot take."""

    def utcoffset(self, dt: datetime | None) -> timedelta:
        """Of a local time; in a gap that of before it with `fold` 0 and of after it with 1 (PEP 495)."""
        naive = (dt or datetime.now()).replace(tzinfo=None)
        return naive.replace(tzinfo=UTC) - datetime.fromtimestamp(naive.timestamp(), UTC)

    def dst(self, dt: datetime | None) -> timedelta | None:
        """Not told apart."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Such as CET or CEST."""
        naive = (dt or datetime.now()).replace(tzinfo=None)
        return datetime.fromtimestamp(naive.timestamp()).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """The local time of a moment, the second one of two by its `fold`."""
        return datetime.fromtimestamp(dt.replace(tzinfo=UTC).timestamp()).replace(tzinfo=self)


LOCAL = LocalZone()


def zone_named(text: str) -> tzinfo:
    """The zone that is written as `Z`, `+02:00` or `Europe/Berlin`.

    Raises:
        ValueError: it is none, or not known on this machine.
    """
    if text.upper() in ("Z", "UTC"):
        return UTC
    if offset := _OFFSET.fullmatch(text):
        sign, hours, minutes = offset.groups()
        return timezone((1 if sign == "+" else -1) * timedelta(hours=int(hours), minutes=int(minutes)))
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):  # the last: ZoneInfoNotFoundError
        raise ValueError(f"there is no time zone {text!r} here") from None


def zone_words(moment: datetime) -> str:
    """`Europe/Berlin`, or of the local zone what it is called then, such as CEST."""
    zone = moment.tzinfo
    return zone.key if isinstance(zone, ZoneInfo) else moment.tzname() or ""
