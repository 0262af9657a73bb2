"""Every size of terminal: nothing is wider than the screen, and the deadline is always there."""

from __future__ import annotations

import random
from collections.abc import Callable

import builders as b
import pytest
from builders_states import STATES, state_log
from pressing import settled
from rich.cells import cell_len

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain, width_of
from speedtui.tui.keys.table import SCREENS
from speedtui.tui.panes.pane import Pane
from speedtui.tui.redraw import Redraw
from speedtui.tui.screens.confirm import ask_promote, confirm_delete, draw_question
from speedtui.tui.screens.dialog import Dialog
from speedtui.tui.screens.help import draw_help, found_keys
from speedtui.tui.screens.leave import ask_leave

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]
SMALLEST, LARGEST = (40, 6), (200, 60)
CORNERS = [SMALLEST, (40, 60), (71, 9), (72, 10), (119, 31), (120, 32), LARGEST]
"""The ends, and both sides of every size at which another layout begins."""
AT_EVERY_CORNER = ("empty", "late", "out-of-memory")
"""States with the least and the most to show; the others are looked at in some of the corners."""
SOME_CORNERS = 3
AT_CHANCE = 2
"""More sizes a screen and state; another choice for each."""
PANE_SIZES = 6
"""Sizes at which each pane is drawn by itself."""


def sizes(what: str, count: int) -> list[tuple[int, int]]:
    chance = random.Random(what)
    return [(chance.randint(SMALLEST[0], LARGEST[0]), chance.randint(SMALLEST[1], LARGEST[1])) for _ in range(count)]


def check_fits(app: SpeedtuiApp, width: int, height: int) -> None:
    for pane in app.screen.query(Lines):
        if pane.region.area:
            where = f"{pane} at {width}x{height}"
            assert len(pane.rows) == pane.size.height, where
            assert {cell_len(plain(line)) for line in pane.rows} == {pane.size.width}, where
            assert pane.region.right <= width and pane.region.bottom <= height, where


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
async def test_no_row_is_wider_than_the_screen_at_any_size(screen: str, state: str, open_app: OpenApp) -> None:
    what = f"{screen} {state}"
    corners = CORNERS if state in AT_EVERY_CORNER else random.Random(what).sample(CORNERS, SOME_CORNERS)
    tried = [*corners, *sizes(what, AT_CHANCE)]
    async with open_app(state_log(state, screen), start_screen=screen).run_test(size=tried[0]) as pilot:
        app = pilot.app
        assert isinstance(app, SpeedtuiApp)
        for width, height in tried:
            await pilot.resize_terminal(width, height)
            await settled(pilot)
            check_fits(app, width, height)
        check_panes_alone(app, sizes(what, PANE_SIZES))


def check_panes_alone(app: SpeedtuiApp, tried: list[tuple[int, int]]) -> None:
    """Each pane drawn at sizes that no layout of today gives it."""
    frame = Redraw(app, app.tick)._new_frame(every=True)
    for pane in app.screen.query(Pane):
        for width, height in tried:
            rows = pane.draw(frame, width, height)
            assert all(width_of(line) <= width for line in rows), f"{pane} draws wider than {width}x{height}"


@pytest.mark.parametrize("key", ["question_mark", "q", "l", "5", "p", "colon"])
@pytest.mark.parametrize("size", [SMALLEST, (60, 12), (80, 24), LARGEST], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_dialogs_fit_at_any_size(size: tuple[int, int], key: str, open_app: OpenApp) -> None:
    async with open_app(b.late_training_log()).run_test(size=size) as pilot:
        await settled(pilot)
        await pilot.press(key)
        await settled(pilot)
        assert isinstance(pilot.app, SpeedtuiApp)
        check_fits(pilot.app, *size)
        for widget in pilot.app.screen.query(".dialog"):
            assert widget.region.right <= size[0] and widget.region.bottom <= size[1]
            assert widget.region.x >= 0 and widget.region.y >= 0


async def test_the_rows_of_dialogs_fit_any_width() -> None:
    question = ask_promote(12, "mb8 ga2 +bf16 +compile, a label that is rather long", can_train=True)
    for width in range(20, 197):
        for at in range(3):
            assert all(width_of(line) <= width for line in draw_question(question._text, question._choices, at, width))
        assert all(width_of(line) <= width for line in found_keys("e", width))
        assert all(width_of(line) <= width for line in draw_help("trials", width, replaying=True))


@pytest.mark.parametrize("make", [
    lambda: ask_promote(3, "mb8 ga2", can_train=True), lambda: confirm_delete(3, "mb8 ga2", has_result=True),
    lambda: ask_leave(state_of_training()),
], ids=["promote", "delete", "leave"])  # fmt: skip
async def test_the_cursor_of_a_question_stays_in_sight_at_forty_by_six(
    make: Callable[[], Dialog[str | None]], open_app: OpenApp
) -> None:
    async with open_app(b.training_log(200)).run_test(size=SMALLEST) as pilot:
        await settled(pilot)
        dialog = make()
        pilot.app.push_screen(dialog)
        await settled(pilot)
        for key in ("down", "down", "down", "up", "up", "up"):
            await settled(pilot)
            assert any(line for line in shown(dialog) if "› " in line), f"before {key}: {shown(dialog)}"
            await pilot.press(key)
        await pilot.press("up", "up", "up", "up")
        await settled(pilot)
        assert plain(dialog.body(36)[0]).strip() in shown(dialog)[1]  # the text can be read, too


def shown(dialog: Dialog[str | None]) -> list[str]:
    return [plain(line) for line in dialog.query_one(Lines).rows]


def state_of_training():  # type: ignore[no-untyped-def]
    from speedtui.engine.state import StateReducer

    folder = StateReducer()
    for event in b.training_log(200):
        folder.apply(event)
    return folder.snapshot()


async def test_the_help_scrolls_searches_and_keeps_its_last_row(open_app: OpenApp) -> None:
    async with open_app(b.training_log(200)).run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        await pilot.press("question_mark")
        await settled(pilot)
        dialog = pilot.app.screen
        assert isinstance(dialog, Dialog)
        assert "Everywhere" in shown(dialog)[1] and "UI 2 Hz" in shown(dialog)[-2] and "remap" in shown(dialog)[-2]
        await pilot.press("G")
        await settled(pilot)
        assert "UI 2 Hz" in shown(dialog)[-2] and any("quit" in line or "leave;" in line for line in shown(dialog))
        await pilot.press("slash", *"checkpoint")
        await settled(pilot)
        assert "/ checkpoint" in shown(dialog)[-2]
        assert any("save a checkpoint now" in line for line in shown(dialog))
        assert not any("evaluate now" in line for line in shown(dialog))
        await pilot.press("enter", "escape")
        await settled(pilot)
        assert "Everywhere" in shown(dialog)[1]
        await pilot.press("escape")
        await settled(pilot)
        assert not isinstance(pilot.app.screen, Dialog)


async def test_the_deadline_and_the_way_out_stay_at_forty_by_six(open_app: OpenApp) -> None:
    async with open_app(b.training_log()).run_test(size=SMALLEST) as pilot:
        await settled(pilot)
        text = "\n".join(plain(line) for pane in pilot.app.screen.query(Lines) if pane.display for line in pane.rows)
        assert "ON TRACK" in text and "finish 02:04" in text and "q quit" in text


async def test_the_trials_stay_usable_at_forty_by_six(open_app: OpenApp) -> None:
    async with open_app(b.study_log(), start_screen="trials").run_test(size=SMALLEST) as pilot:
        await settled(pilot)
        await pilot.press("G")
        await settled(pilot)
        rows = [plain(line) for line in pilot.app.screen.query_one("#trials").rows]  # type: ignore[attr-defined]
        assert any(line.startswith("›") and "mb8 ga2 +bf16" in line for line in rows)


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_screen_keeps_its_header_and_a_row_of_its_own_at_forty_by_six(
    screen: str, open_app: OpenApp
) -> None:
    async with open_app(state_log("on-track", screen), start_screen=screen).run_test(size=SMALLEST) as pilot:
        await settled(pilot)
        seen = {pane.id for pane in pilot.app.screen.query(Lines) if pane.region.area}
        assert {"header", "footer"} < seen


async def test_panes_go_by_priority_as_rows_get_scarce(open_app: OpenApp) -> None:
    async with open_app(b.training_log()).run_test(size=(80, 24)) as pilot:
        seen = []
        for size in ((80, 24), (60, 24), (60, 14), (60, 8)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            found = pilot.app.screen.query(Lines)
            seen.append({pane.id for pane in found if pane.id is not None and pane.region.area})
        assert {"deadline", "step", "devices", "loss", "events"} <= seen[0]
        assert {"step", "loss"} <= seen[1] and "events" not in seen[1]
        assert "step" in seen[2] and "loss" not in seen[2]
        assert seen[3] == {"header", "deadline", "footer"}
