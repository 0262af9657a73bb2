"""A moment as people type it: a time of day, a weekday or a date with it, a zone where it is not the local one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

from speedtui.engine.config.zone import zone_named, zone_words

EXPECTED = "expected 18:40, Fri 18:40 or 2026-05-01 18:40, each also with a zone such as Europe/Berlin, +02:00 or Z"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
FIRST_YEAR, LAST_YEAR = 1970, 9000
"""Clocks count from the first; zones and spans beyond the last lead out of what a `datetime` can be."""
_TYPED = re.compile(
    r"(?:(?P<day>[A-Za-z]{3,9})\s+|(?P<date>\d{4}-\d\d-\d\d)(?:[T\s]\s*))?"
    r"(?P<time>\d{1,2}:\d\d(?::\d\d)?)\s*(?P<zone>[A-Za-z+-]\S*)?"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class ParsedTime(NamedTuple):
    """A moment and what there is to say of how it was read."""

    at: datetime
    """In the zone in which it was typed."""
    note: str
    """Where the clocks were put forward over it or back behind it, or it is another time of day here; else empty."""


class _Typed(NamedTuple):
    day: int | None
    """Of the week, from Monday on."""
    date: date | None
    time: time
    zone: tzinfo | None


def read_moment(text: str, now: datetime) -> ParsedTime:
    """The moment that was typed; without a date the next such one after `now`, whose zone is the local one.

    A time that comes twice, as the clocks are put back, is the first of the two that is still to come. One that they
    are put forward over is the moment at which they are: that is when a clock first shows as much.

    Raises:
        ValueError: it cannot be read.
    """
    typed = _typed(text.strip())
    zone = typed.zone if typed.zone is not None else now.tzinfo or UTC
    today = now.astimezone(zone).date()
    moments = [_on(day, typed.time, zone) for day in _days(typed, today)]
    ahead = [(at, note) for each in moments for at, note in each if at.timestamp() > now.timestamp()]
    at, note = ahead[0] if ahead else moments[-1][-1]
    return ParsedTime(at, "; ".join(filter(None, [note, _here(at, now)])))


def later(text: str, seconds: int) -> str:
    """What was typed, so much later and in the same form; the same where it cannot be read."""
    found = _TYPED.fullmatch(text.strip())
    if found is None:
        return text
    try:
        typed = _typed(text.strip())
    except ValueError:
        return text
    start = typed.date or date(2001, 1, 1 + (typed.day or 0))  # a Monday
    moved = datetime.combine(start, typed.time) + timedelta(seconds=seconds)
    clock = f"{moved:%H:%M:%S}" if found["time"].count(":") == 2 else f"{moved:%H:%M}"
    head = f"{moved:%Y-%m-%d}" if found["date"] else f"{moved:%a}" if found["day"] else ""
    between = "T" if found["date"] and "T" in text.partition(found["time"])[0] else " "
    tail = text.strip()[found.end("time") :]
    return f"{head}{between if head else ''}{clock}{tail}"


def _typed(text: str) -> _Typed:
    if _DATE.fullmatch(text):
        return _Typed(None, _in_years(date.fromisoformat(text), text), time(), None)
    found = _TYPED.fullmatch(text)
    if found is None:
        raise ValueError(f"{EXPECTED}, got {text!r}")
    try:
        clock = time.fromisoformat(found["time"].zfill(5 if found["time"].count(":") == 1 else 8))
        day = None if found["date"] is None else date.fromisoformat(found["date"])
    except ValueError:
        raise ValueError(f"{EXPECTED}, got {text!r}") from None
    zone = None if found["zone"] is None else zone_named(found["zone"])
    return _Typed(_weekday(found["day"], text), day and _in_years(day, text), clock, zone)


def _in_years(day: date, text: str) -> date:
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}, got {text!r}")
    return day


def _weekday(name: str | None, text: str) -> int | None:
    if name is None:
        return None
    for number, day in enumerate(DAYS):
        if day.startswith(name.lower()):
            return number
    raise ValueError(f"{EXPECTED}, got {text!r}")


def _days(typed: _Typed, today: date) -> Iterator[date]:
    """Those that it may be meant for, in order."""
    if typed.date is not None:
        yield typed.date
        return
    for ahead in range(9):  # the weekday's time today may be over
        day = today + timedelta(days=ahead)
        if typed.day in (None, day.weekday()):
            yield day


def _on(day: date, clock: time, zone: tzinfo) -> list[tuple[datetime, str]]:
    """The one moment or the two at which a clock there shows it, in order, each with what is to be said of it."""
    first, second = (datetime.combine(day, clock, zone).replace(fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return [(first, "")]
    where = f"{clock:%H:%M} on {day}"
    if first.timestamp() > second.timestamp():  # a gap: `fold` 0 counts on from before it (PEP 495)
        at = _change(second.timestamp(), first.timestamp(), zone)
        return [(at, f"there is no {where} ({zone_words(at)}): the clocks are put forward over it, to {at:%H:%M}")]
    twice = f"{where} comes twice ({zone_words(first)}): "
    return [(at, f"{twice}the {word} is meant, at {_offset(at)}")
            for at, word in ((first, "first"), (second, "second"))]  # fmt: skip


def _change(before: float, after: float, zone: tzinfo) -> datetime:
    """The first second after a change of the offset between two moments."""
    low, high = int(before), int(after)
    old = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if datetime.fromtimestamp(middle, zone).utcoffset() == old else (low, middle)
    return datetime.fromtimestamp(high, zone)


def _offset(at: datetime) -> str:
    """`+02:00`."""
    return f"{at:%z}"[:3] + ":" + f"{at:%z}"[3:5]


def _here(at: datetime, now: datetime) -> str:
    """The local time where another zone was typed and it is another one."""
    local = at.astimezone(now.tzinfo)
    if local.utcoffset() == at.utcoffset():
        return ""
    day = "" if local.date() == at.date() else f"{local:%a} "
    return f"{at:%H:%M} {zone_words(at)} is {day}{local:%H:%M} {zone_words(local)}"
