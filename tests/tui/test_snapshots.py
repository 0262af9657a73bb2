"""The screens as pictures. `pytest --snapshot-update` accepts a change that was looked at."""

from __future__ import annotations

from collections.abc import Callable

import builders as b
import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp

OpenApp = Callable[..., SpeedtuiApp]
MOMENTS: dict[str, tuple[str, list[AnyEvent], tuple[str, ...]]] = {
    "empty": ("monitor", [], ()),
    "measuring": ("trials", b.study_log(), ("j", "j", "j", "j", "j")),
    "running": ("monitor", b.training_log(), ()),
    "out_of_memory": ("trials", b.study_log(finished=True), ("j", "j", "j", "j")),
    "finished": ("monitor", b.finished_training_log(), ()),
    "trouble": ("monitor", b.trouble_log(), ()),
}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are shown as they are reached from the working directory."""
    monkeypatch.chdir("/")


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_moment_looks_as_it_did(
    moment: str, size: tuple[int, int], open_app: OpenApp, snap_compare: Callable[..., bool]
) -> None:
    screen, log, keys = MOMENTS[moment]

    async def before(pilot: Pilot[None]) -> None:
        await pilot.pause(0.15)
        await pilot.press(*keys)
        await pilot.pause(0.15)

    assert snap_compare(open_app(log, start_screen=screen), terminal_size=size, run_before=before)


@pytest.mark.parametrize("key", ["l", "S"], ids=["levers", "schedule"])
def test_what_changes_a_late_run_looks_as_it_did(
    key: str, open_app: OpenApp, snap_compare: Callable[..., bool]
) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await pilot.pause(0.15)
        await pilot.press(key)
        await pilot.pause(0.15)
        for field in pilot.app.screen.query(Input):
            field.cursor_blink = False
        await pilot.pause(0.05)

    assert snap_compare(open_app(b.late_training_log()), terminal_size=(80, 24), run_before=before)


def test_the_help_looks_as_it_did(open_app: OpenApp, snap_compare: Callable[..., bool]) -> None:
    async def before(pilot: Pilot[None]) -> None:
        await pilot.pause(0.15)
        await pilot.press("question_mark")
        await pilot.pause(0.15)

    assert snap_compare(open_app(b.study_log()), terminal_size=(80, 24), run_before=before)
