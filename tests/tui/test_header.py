"""The first line: what gives way where there is little room, and what never does."""

from __future__ import annotations

import builders as b
import msgspec
import pytest

from speedtui.engine.state import fold
from speedtui.tui.drawing.text import plain, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.header import TABS, draw_header

RUN = fold(b.training_log())


def header(width: int, screen: str = "monitor", **more: object) -> str:
    frame = msgspec.structs.replace(Frame(run=RUN, study=RUN, clock=RUN.now), **more)
    line = draw_header(frame, screen, width)
    assert width_of(line) == width
    return plain(line)


@pytest.mark.parametrize("width", range(40, 201, 8))
@pytest.mark.parametrize("screen", [name for name, _ in TABS])
def test_the_screen_in_front_and_the_state_are_there_at_any_width(screen: str, width: int) -> None:
    text = header(width, screen)
    assert dict(TABS)[screen] in text and "▶ training" in text


@pytest.mark.parametrize("width", [50, 60, 72, 80, 100, 140])
def test_a_slow_connection_is_said_with_the_rate_before_the_names_of_other_screens(width: int) -> None:
    text = header(width, slow_link=True, held_back_by="slow link", rate_hz=0.5)
    assert "slow link, 0.5 Hz" in text and "1" in text and "4" in text


def test_a_rate_held_by_the_budget_is_called_so() -> None:
    assert "traffic limit, 1 Hz" in header(100, slow_link=True, held_back_by="traffic limit", rate_hz=1.0)


def test_several_runs_are_counted() -> None:
    assert "training 2/3" in header(80, runs=3, at=1)
    assert "1/1" not in header(140)


def test_a_wide_header_has_the_traffic_the_run_and_the_time() -> None:
    text = header(140, kib_per_second=3)
    assert "2 Hz 3 KiB/s" in text and "20260101-000000-train-4f1a" in text and "00:52" in text
    assert "KiB/s" not in header(140)


def test_what_holds_the_picture_is_said_at_40_columns() -> None:
    assert "frozen" in header(40, frozen=True)
    assert "read only" in header(40, read_only=True)
