"""Deadlines as typed, against the clock on the wall, over the nights in which the clocks are changed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from speedtui.engine.config.parse_time import later, read_moment
from speedtui.engine.config.settings import WindowSettings
from speedtui.engine.config.window import Window, resolve_window
from speedtui.engine.config.zone import LOCAL
from speedtui.engine.errors import ConfigError
from speedtui.tui.drawing.text import clock

NIGHTS = {
    "Europe/Berlin": ((2026, 3, 29, 1), (2026, 10, 25, 1)),
    "America/New_York": ((2026, 3, 8, 7), (2026, 11, 1, 6)),
}
"""Zones and the UTC hours in which their clocks are changed."""
MINUTE = 60


@contextmanager
def local_zone(name: str) -> Iterator[None]:
    """The C library's zone, which is the process's."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = name
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def typed(text: str, now: datetime) -> Window:
    window = resolve_window(WindowSettings(deadline=text), now, "f")
    assert window is not None
    return window


@pytest.mark.parametrize("name", NIGHTS)
@pytest.mark.parametrize("night", [0, 1])
def test_a_deadline_is_the_next_minute_at_which_the_clock_on_the_wall_shows_it(name: str, night: int) -> None:
    """Every minute of thirty hours around the change, held against a clock that is only watched."""
    zone = ZoneInfo(name)
    change = datetime(*NIGHTS[name][night], tzinfo=UTC)
    start = change - timedelta(hours=15)
    shown: dict[str, list[float]] = {}
    for minute in range(30 * 60):
        at = (start + timedelta(minutes=minute)).astimezone(zone)
        shown.setdefault(f"{at:%H:%M}", []).append(at.timestamp())
    with local_zone(name):
        here = datetime.fromtimestamp(start.timestamp(), LOCAL)
        for minute in range(0, 24 * 60, 7):
            text = f"{minute // 60:02}:{minute % 60:02}"
            window = typed(text, here)
            assert window == typed(text, start.astimezone(zone)) or window.note, text
            moments = [moment for moment in shown.get(text, []) if moment > start.timestamp()]
            assert window.deadline == (moments[0] if moments else change.timestamp()), text
            day = datetime.fromtimestamp(window.deadline, zone)
            if moments:
                assert typed(f"{day:%Y-%m-%d} {text}", here).deadline == window.deadline, text
                assert typed(f"{day:%a} {text}", here).deadline == window.deadline, text
                assert typed(f"{text} {name}", start).deadline == window.deadline, text
                assert typed(f"{day:%Y-%m-%d} {text}{day:%z}"[:-2] + ":00", start).deadline == window.deadline, text


@pytest.mark.parametrize("name", NIGHTS)
@pytest.mark.parametrize("night", [0, 1])
def test_a_length_is_so_many_seconds_over_a_change_of_the_clocks(name: str, night: int) -> None:
    start = datetime(*NIGHTS[name][night], tzinfo=UTC) - timedelta(hours=3)
    window = resolve_window(WindowSettings(length="12h"), start.astimezone(ZoneInfo(name)), "f")
    assert window is not None
    assert window.deadline == start.timestamp() + 12 * 3600


def test_a_time_that_there_is_not_is_the_moment_at_which_the_clocks_are_put_forward_over_it() -> None:
    evening = datetime(2026, 3, 28, 20, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    window = typed("02:30", evening)
    assert window.deadline == datetime(2026, 3, 29, 1, 0, tzinfo=UTC).timestamp()
    assert window.note == (
        "there is no 02:30 on 2026-03-29 (Europe/Berlin): the clocks are put forward over it, to 03:00"
    )


def test_of_a_time_that_comes_twice_the_first_to_come_is_meant_and_said() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = typed("02:30", datetime(2026, 10, 24, 20, 0, tzinfo=berlin))
    assert first.deadline == datetime(2026, 10, 25, 0, 30, tzinfo=UTC).timestamp()
    assert first.note == "02:30 on 2026-10-25 comes twice (Europe/Berlin): the first is meant, at +02:00"
    between = datetime(2026, 10, 25, 0, 45, tzinfo=UTC).astimezone(berlin)
    second = typed("02:30", between)
    assert second.deadline == datetime(2026, 10, 25, 1, 30, tzinfo=UTC).timestamp()
    assert second.note == "02:30 on 2026-10-25 comes twice (Europe/Berlin): the second is meant, at +01:00"
    assert typed("02:30+01:00", between).deadline == second.deadline
    assert not typed("02:30+01:00", between).note


def test_a_deadline_in_another_zone_says_what_it_is_here() -> None:
    new_york = datetime(2026, 5, 1, 12, 0, tzinfo=ZoneInfo("America/New_York"))
    window = typed("09:00 Europe/Berlin", new_york)
    assert window.deadline == datetime(2026, 5, 2, 7, 0, tzinfo=UTC).timestamp()
    assert window.note == "09:00 Europe/Berlin is 03:00 America/New_York"
    for text in ("2026-05-02T07:00Z", "2026-05-02 09:00+02:00", "Sat 07:00 UTC", "saturday 07:00 Z"):
        assert typed(text, new_york).deadline == window.deadline, text


def test_a_zone_that_the_c_library_knows_by_a_rule_alone_is_read_all_the_same() -> None:
    with local_zone("CET-1CEST,M3.5.0,M10.5.0/3"):
        before = datetime.fromtimestamp(datetime(2026, 3, 28, 20, 0, tzinfo=UTC).timestamp(), LOCAL)
        assert typed("09:00", before).deadline == datetime(2026, 3, 29, 7, 0, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("text", ["25:00", "09:00 Nowhere/Else", "someday 09:00", "2026-02-30 09:00", "09:00 +2", "9"])
def test_what_is_no_moment_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ConfigError, match=r"window\.deadline: (expected 18:40, Fri 18:40|there is no time zone)"):
        typed(text, datetime(2026, 5, 1, 12, 0, tzinfo=UTC))


def test_a_deadline_is_moved_in_the_form_it_was_typed_in() -> None:
    moved = {
        "23:58": "00:03", "Sun 23:58": "Mon 00:03", "2026-12-31 23:58": "2027-01-01 00:03",
        "2026-05-01T18:40": "2026-05-01T18:45", "09:00 Europe/Berlin": "09:05 Europe/Berlin", "9": "9",
    }  # fmt: skip
    assert {text: later(text, 5 * MINUTE) for text in moved} == moved


def test_a_time_of_day_is_shown_with_its_zone_where_the_clocks_are_changed_before_it() -> None:
    evening = datetime(2026, 10, 24, 22, 0, tzinfo=UTC).timestamp()
    with local_zone("Europe/Berlin"):
        assert clock(evening + 1800, evening) == "00:30"
        shown = [clock(evening + hours * 3600, evening) for hours in (2.5, 3.5)]
        assert shown == ["02:30", "02:30 CET"]
        assert read_moment("02:30 Europe/Berlin", datetime.fromtimestamp(evening, LOCAL)).at.timestamp() == (
            evening + 2.5 * 3600
        )


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9001-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", ["", " 18:40 +14:00", " 18:40 -12:00", " 23:59 Pacific/Auckland"])
def test_a_year_beyond_what_can_be_counted_is_no_moment(day: str, zone: str) -> None:
    with pytest.raises(ValueError, match="expected a year from 1970 to 9000"):
        read_moment(f"{day}{zone}", datetime(2026, 5, 1, tzinfo=UTC))
