"""The Monitor by keyboard: focus, zoom, filter, the time axis, marks; and that each key is taken back by escape."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import pytest
from pressing import heard, press, settled
from recorded import RecordedSession

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.screens.view import View

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


def view(app: SpeedtuiApp) -> View:
    assert app.view is not None
    return app.view


def shown(app: SpeedtuiApp) -> list[str]:
    """Ids of the panes that have a place on the screen."""
    return [pane.id for pane in view(app).query(Lines) if pane.region.area and pane.id is not None]


def rows(app: SpeedtuiApp, name: str) -> list[str]:
    return [plain(line) for line in app.screen_stack[0].query_one(f"#{name}", Lines).rows]


def events_shown(app: SpeedtuiApp) -> str:
    return "\n".join(rows(app, "events"))


async def test_tab_goes_through_the_panes_and_shift_tab_back(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        assert view(app).pane_in_focus == ""
        seen = []
        for key in ("tab", "tab", "tab", "tab", "tab", "shift+tab"):
            await press(pilot, key)
            seen.append(view(app).pane_in_focus)
        assert seen == ["step", "devices", "loss", "events", "step", "events"]


async def test_shift_tab_begins_at_the_last_pane(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "shift+tab")
        assert view(app).pane_in_focus == "events"


async def test_the_pane_in_focus_has_a_sign_besides_its_colour_until_escape(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "tab")
        assert rows(app, "step")[0].startswith("╭› Step") and rows(app, "devices")[0].startswith("╭─ GPU")
        await press(pilot, "escape")
        assert view(app).pane_in_focus == "" and rows(app, "step")[0].startswith("╭─ Step")


async def test_tab_passes_panes_that_found_no_room(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(60, 14)) as pilot:
        await press(pilot, "tab", "tab", "tab")
        assert view(app).pane_in_focus == "step"


@pytest.mark.parametrize("key", ["z", "enter"])
async def test_a_pane_is_zoomed_between_header_and_footer_and_the_deadline_stays(key: str, open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(80, 24)) as pilot:
        before = shown(app)
        await press(pilot, "tab", key)
        assert shown(app) == ["header", "deadline", "step", "footer"]
        assert len(rows(app, "step")[0]) == 80 and len(rows(app, "step")) == 18
        assert "z back" in rows(app, "step")[0]
        await press(pilot, key)
        assert set(before) <= set(shown(app)) and "loss" in shown(app)


async def test_without_a_focus_the_loss_is_zoomed_and_in_a_study_the_results(open_app: OpenApp) -> None:
    for log, name in ((b.training_log(), "loss"), (b.study_log(), "results")):
        app = open_app(log)
        async with app.run_test(size=(80, 24)) as pilot:
            await press(pilot, "z")
            assert shown(app) == ["header", "deadline", name, "footer"]


async def test_on_a_small_terminal_each_pane_can_be_reached_by_zooming(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(40, 8)) as pilot:
        await press(pilot, "z")
        seen = []
        for _ in range(4):
            await press(pilot, "tab")
            seen += [name for name in shown(app) if name not in ("header", "footer")]
            assert {len(line) for line in rows(app, seen[-1])} == {40}
        assert seen == ["step", "devices", "loss", "events"]


async def test_escape_takes_away_the_zoom_then_the_filter_then_the_focus(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "tab", "slash", *"eval", "enter")
        await press(pilot, "z")
        states = []
        for _ in range(3):
            await press(pilot, "escape")
            states.append((view(app).zoomed, view(app).filter_text, view(app).pane_in_focus))
        assert states == [(False, "eval", "step"), (False, "", "step"), (False, "", "")]


async def test_a_filter_shows_what_has_all_its_words_while_it_is_typed(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"EVAL")
        assert "Events  / EVAL  6 of 12" in events_shown(app) and "checkpoint" not in events_shown(app)
        await press(pilot, "space", *"7200")
        assert "/ EVAL 7200  1 of 12" in events_shown(app)
        await press(pilot, "enter")
        assert "/ EVAL 7200  1 of 12" in events_shown(app) and app.view is not None


async def test_a_filter_finds_lines_by_what_they_are_about(open_app: OpenApp) -> None:
    app = open_app([*b.training_log(), e.Notice(t=4000.0, level="warning", text="the disk is nearly full")])
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"warning", "enter")
        assert "the disk is nearly full" in events_shown(app) and "1 of 13" in events_shown(app)


async def test_escape_in_the_prompt_takes_the_filter_away(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"eval", "enter")
        await press(pilot, "slash", "escape")
        assert view(app).filter_text == "" and "checkpoint 7200" in events_shown(app)


async def test_words_that_no_event_has_are_said_with_the_way_back(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "slash", *"zebra", "enter")
        words = " ".join(line.strip("│ ") for line in rows(app, "events")[1:-1]).split()
        assert " ".join(words) == "No event has these words; esc takes the filter away."


async def test_n_goes_to_the_next_line_that_matches_and_capital_n_back(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "n")
        assert "eval 7200" in events_shown(app), "without a filter there is nothing to go to"
        await press(pilot, "slash", *"eval", "enter")
        await press(pilot, "n", "n")
        assert "eval 4800" in rows(app, "events")[1] and "2 newer" in rows(app, "events")[0]
        await press(pilot, "N")
        assert "eval 6000" in rows(app, "events")[1]


async def test_events_scroll_to_both_ends_and_hold_their_place_as_more_come(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "j", "down", "k")
        first = rows(app, "events")[1]
        assert "eval 7200" in first
        await heard(pilot, session, e.Notice(t=4000.0, level="info", text="something new"))
        assert rows(app, "events")[1] == first and "2 newer" in rows(app, "events")[0]
        await press(pilot, "G")
        assert "on node-7" in rows(app, "events")[-2], "the oldest line is the last one of a full pane"
        await press(pilot, "g")
        assert "something new" in rows(app, "events")[1]


async def test_x_goes_through_the_time_axes_and_the_titles_say_which(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(140, 40)) as pilot:
        titles = []
        for _ in range(4):
            await press(pilot, "x")
            titles.append(rows(app, "loss")[0].split("  ")[0])
            if len(titles) == 2:
                assert any("last 1 min" in line for line in rows(app, "step"))
                assert any("kernel 1 min" in line for line in rows(app, "devices"))
        assert titles == ["╭─ Loss last 10 min", "╭─ Loss last 1 min", "╭─ Loss", "╭─ Loss last 10 min"]


@pytest.mark.parametrize(
    ("keys", "marks"),
    [(("enter",), [""]), ((*"rate cut", "enter"), ["rate cut"]), ((*"no", "escape"), []), (("M", "enter"), ["M"])],
)
async def test_m_marks_the_moment_by_a_name_where_one_is_typed(
    keys: tuple[str, ...], marks: list[str], open_app: OpenApp
) -> None:
    session = RecordedSession(b.training_log())
    async with open_app(session).run_test() as pilot:
        await press(pilot, "m")
        assert session.commands == []
        await press(pilot, *keys)
        assert [sent.text for sent in session.commands if isinstance(sent, c.Note)] == marks


async def test_a_mark_names_the_step_of_its_key_where_the_run_has_gone_on_while_its_name_was_typed(
    open_app: OpenApp,
) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test() as pilot:
        await press(pilot, "m", *"spike")
        await heard(pilot, session, b.step(200.0, 207))
        await press(pilot, "enter")
        assert [sent.text for sent in session.commands if isinstance(sent, c.Note)] == ["spike (at step 200)"]


async def test_y_takes_the_event_at_the_top_or_the_pane_in_focus(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "j")
        assert view(app).copy_text() == ("event", "eval 7200: loss 1.265, 14.2 s")
        await press(pilot, "tab")
        what, text = view(app).copy_text()
        assert what == "step" and "412 ms" in text


async def test_a_frame_in_between_does_not_move_the_focus_or_the_scrolling(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log())
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "shift+tab", "j", "j")
        before = app.screen.query_one(EventsPane).top_text
        await heard(pilot, session, b.step(4000.0, 7579))
        assert app.screen.query_one(EventsPane).top_text == before and view(app).pane_in_focus == "events"
