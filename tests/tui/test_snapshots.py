"""The screens as pictures. `pytest --snapshot-update` accepts a change that was looked at.

Every screen in every state is compared as text, at four sizes; a few moments as SVG, for the colours.
"""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import pytest
from builders_states import STATES, state_log
from pressing import settled
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode
from textual.pilot import Pilot
from textual.widgets import Input

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.keys.table import SCREENS
from speedtui.tui.terminal.refresh_rate import BACKLOG

OpenApp = Callable[..., SpeedtuiApp]
SIZES = ((60, 20), (80, 24), (100, 30), (140, 40))
MOMENTS: dict[str, tuple[str, list[AnyEvent], tuple[str, ...]]] = {
    "empty": ("monitor", [], ()),
    "measuring": ("trials", b.study_log(), ("j", "j", "j", "j", "j")),
    "running": ("monitor", b.training_log(), ()),
    "out_of_memory": ("trials", b.study_log(finished=True), ("j", "j", "j", "j")),
    "finished": ("monitor", b.finished_training_log(), ()),
    "trouble": ("monitor", b.trouble_log(), ()),
}


class Text(SingleFileSnapshotExtension):
    """One text file a picture: what differs can be read in the diff."""

    _write_mode = WriteMode.TEXT
    _file_extension = "txt"


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are shown as they are reached from the working directory."""
    monkeypatch.chdir("/")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nonexistent")


def text_of(app: SpeedtuiApp) -> str:
    """What is on the screen, without colours."""
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in strips) + "\n"


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_in_a_state_looks_as_it_did(
    screen: str, state: str, open_app: OpenApp, snapshot: SnapshotAssertion
) -> None:
    looks = {}
    async with open_app(state_log(state, screen), start_screen=screen).run_test(size=SIZES[0]) as pilot:
        app = pilot.app
        assert isinstance(app, SpeedtuiApp)
        await settled(pilot)
        if state == "slow-link":
            app.drawing.pace.tick(BACKLOG + 1)
            app.drawing.start()
        for width, height in SIZES:
            await pilot.resize_terminal(width, height)
            await settled(pilot)
            app.drawing.now()
            looks[f"{width}x{height}"] = text_of(app)
    before = snapshot.use_extension(Text)
    wrong = [name for name, text in looks.items() if text != before(name=name)]
    for name in wrong[:1]:  # the whole of the first one; the others by name
        assert looks[name] == before(name=name), f"{screen}-{state} is not as it was at {', '.join(wrong)}"


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_moment_looks_as_it_did(
    moment: str, size: tuple[int, int], open_app: OpenApp, snap_compare: Callable[..., bool]
) -> None:
    screen, log, keys = MOMENTS[moment]

    async def before(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await pilot.press(*keys)
        await settled(pilot)

    assert snap_compare(open_app(log, start_screen=screen), terminal_size=size, run_before=before)


@pytest.mark.parametrize("key", ["l", "S"], ids=["levers", "schedule"])
def test_what_changes_a_late_run_looks_as_it_did(
    key: str, open_app: OpenApp, snap_compare: Callable[..., bool]
) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await pilot.press(key)
        await settled(pilot)
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await settled(pilot)

    assert snap_compare(open_app(b.late_training_log()), terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_help_looks_as_it_did(screen: str, open_app: OpenApp, snap_compare: Callable[..., bool]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await settled(pilot)
        await pilot.press("question_mark")
        await settled(pilot)

    log = state_log("on-track", screen)
    assert snap_compare(open_app(log, start_screen=screen), terminal_size=(80, 24), run_before=before)
