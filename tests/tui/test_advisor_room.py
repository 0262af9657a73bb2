"""Where the Advisor puts what: levers of a late run first, words where nothing is drawn, no row left empty."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders_advisor as ba
import pytest
from builders_states import state_log
from pressing import press
from recorded import RecordedSession

from speedtui.engine.log.tail import read_events
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.screens.advisor import AdvisorScreen
from speedtui.tui.screens.levers import LeversScreen

OpenApp = Callable[..., SpeedtuiApp]
DEADLINE = Path(__file__).parents[1] / "data/recordings/deadline.jsonl"
LATE_AT = 50.0
"""Seconds into it; it was late from 42 s on, until somebody took a lever."""


def screen_of(app: SpeedtuiApp) -> AdvisorScreen:
    assert isinstance(app.screen, AdvisorScreen)
    return app.screen


def text_on(app: SpeedtuiApp) -> str:
    return "\n".join(plain(line) for pane in app.screen.query(Lines) for line in pane.rows)


@pytest.mark.asyncio
async def test_the_recorded_late_training_has_its_levers_on_top_with_their_minutes(open_app: OpenApp) -> None:
    log = [event for event in read_events(DEADLINE) if event.t < LATE_AT]
    app = open_app(log, start_screen="advisor")
    async with app.run_test(size=(80, 24)) as pilot:
        await press(pilot)
        rows = screen_of(app).shown.rows
        assert [one.live for one in rows] == sorted((one.live for one in rows), reverse=True) and rows[0].live
        saved = [one.saves_seconds for one in rows if one.live and one.saves_seconds is not None]
        assert saved == sorted(saved, reverse=True)
        assert "saves ~4m 13s" in text_on(app) and "l takes it now" in text_on(app)
        await press(pilot, "l")
        assert isinstance(app.screen, LeversScreen) and "saves 4m 13s" in text_on(app)


@pytest.mark.asyncio
async def test_what_nobody_measured_leaves_its_room_to_the_words(open_app: OpenApp) -> None:
    app = open_app(RecordedSession(ba.compared_study()), start_screen="advisor")
    async with app.run_test(size=(140, 40)) as pilot:
        await press(pilot)
        detail = app.screen.query_one("#strategy")
        measured = detail.size.width
        at = next(i for i, one in enumerate(screen_of(app).shown.rows) if one.gain is None)
        await press(pilot, *"j" * at)
        assert detail.size.width > measured
        await press(pilot, *"k" * at)
        assert detail.size.width == measured


@pytest.mark.asyncio
async def test_the_panes_take_all_rows_of_a_tall_terminal(open_app: OpenApp) -> None:
    app = open_app(state_log("late", "advisor"), start_screen="advisor")
    for size in ((120, 32), (120, 36), (140, 40), (200, 60)):
        async with app.run_test(size=size) as pilot:
            await press(pilot)
            regions = [pane.region for pane in app.screen.query(Lines) if pane.region.area]
            taken = {y for region in regions for y in range(region.y, region.bottom)}
            assert taken == set(range(size[1])), f"rows without a pane at {size}"
            assert app.screen.query_one("#next").size.height == 1
        app = open_app(state_log("late", "advisor"), start_screen="advisor")
