"""Keys in any order, in any state: nothing raises, and escape always leads back to a full screen."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from builders_states import STATES, state_log
from pressing import settled
from recorded import RecordedSession
from textual.pilot import Pilot

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.keys import KEYS
from speedtui.tui.keys.table import SCREENS
from speedtui.tui.screens.view import View

OpenApp = Callable[..., SpeedtuiApp]
PRESSES = 24
"""A walk: enough to go through several dialogs."""
ESCAPES = 8
"""More dialogs than ever lie over each other."""
OTHERS = ("enter", "escape", "y", "n", "0", "8", "backspace", "space", "end", "pagedown", "shift+tab")
"""What dialogs take besides the table's keys."""
TABLE = sorted({name for key in KEYS for name in key.keys.split(",")})
WEIGHTS = [1 if name == "q" else 3 for name in TABLE] + [4] * len(OTHERS)
"""Leaving ends a walk."""
SIZES = ((40, 6), (80, 24), (140, 40))


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a walk writes goes to a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


async def walk(pilot: Pilot[None], chance: random.Random) -> list[str]:
    """Presses keys until there are enough or one of them left the app; a few at once, as fast typists do."""
    pressed: list[str] = []
    while len(pressed) < PRESSES and pilot.app._exit is False:
        some = chance.choices([*TABLE, *OTHERS], weights=WEIGHTS, k=chance.randint(1, 4))
        pressed += some
        await pilot.press(*some)
        if chance.random() < 0.1:
            await pilot.resize_terminal(*chance.choice(SIZES))
    return pressed


@pytest.mark.parametrize(
    ("screen", "state"), [(SCREENS[i % len(SCREENS)], state) for i, state in enumerate(STATES * 2) if i % 3 or i < 9]
)
async def test_no_order_of_keys_breaks_anything(screen: str, state: str, open_app: OpenApp, tmp_path: Path) -> None:
    chance = random.Random(f"{screen} {state}")
    session = RecordedSession(state_log(state, screen), folder=tmp_path)
    app = open_app(session, start_screen=screen, read_only=state == "finished")
    pressed: list[str] = []
    try:
        async with app.run_test(size=chance.choice(SIZES)) as pilot:
            await settled(pilot)
            pressed = await walk(pilot, chance)
            if app._exit:
                return
            await pilot.press(*["escape"] * ESCAPES)
            await settled(pilot)
            assert isinstance(app.screen, View), f"{app.screen} is still in front"
    except Exception as error:
        error.add_note(f"after {' '.join(pressed)}")
        raise


@pytest.mark.parametrize("screen", SCREENS)
async def test_every_key_is_safe_before_anything_is_known(screen: str, open_app: OpenApp, tmp_path: Path) -> None:
    own = [key.keys.split(",")[0] for key in KEYS if key.scope == screen]
    async with open_app(RecordedSession(folder=tmp_path), start_screen=screen).run_test() as pilot:
        for name in own:
            await pilot.press(name, "escape")
        await pilot.press(*["escape"] * ESCAPES)
        await settled(pilot)
        assert isinstance(pilot.app.screen, View)


@pytest.mark.parametrize("way_out", ["ctrl+q", "ctrl+c"])
async def test_a_dialog_gives_way_to_the_question_of_leaving(way_out: str, open_app: OpenApp) -> None:
    session = RecordedSession(state_log("on-track", "monitor"))
    async with open_app(session).run_test() as pilot:
        await settled(pilot)
        await pilot.press("question_mark", way_out)
        await settled(pilot)
        assert [type(one).__name__ for one in pilot.app.screen_stack] == ["MonitorScreen", "Question"]
        await pilot.press("escape")
        await settled(pilot)
        assert isinstance(pilot.app.screen, View)
        assert session.commands == [] and not session.detached


async def test_the_number_keys_do_nothing_while_a_question_is_open(open_app: OpenApp) -> None:
    async with open_app(state_log("on-track", "monitor")).run_test() as pilot:
        await settled(pilot)
        await pilot.press("s", "2", "escape")
        await settled(pilot)
        assert isinstance(pilot.app.screen, View) and pilot.app.screen.SCOPE == "monitor"
