"""Somebody else's run that goes on, opened on the screen: it is shown, and no key writes, asks or kills anything."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from pressing import press, settled
from recorded import RecordedSession
from test_runs import listed, write
from textual.pilot import Pilot
from textual.widgets import Input

from speedtui.engine import events as e
from speedtui.engine.locks import hold_lock
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.keys import KEYS
from speedtui.tui.keys.table import SCREENS
from speedtui.tui.screens.monitor import MonitorScreen

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]
THEM = 54322
"""A user that is not this one, for root; anybody else's run is as little obeyed where all can write it."""


@pytest.fixture
def foreign(tmp_path: Path) -> RunFolder:
    folder = write(tmp_path / "runs", "20260101-020000-train-cccc", b.late_training_log())
    folder.config.write_text('[model]\narchitecture = { model_type = "llama" }\n[data]\ntrain = "d"\ntext = "t"\n')
    folder.worker_lock.touch(0o600)
    for path in (*folder.path.iterdir(), folder.path):
        os.chown(path, THEM, THEM) if os.geteuid() == 0 else path.chmod(0o777)
    return folder


def files(folder: RunFolder) -> dict[str, tuple[int, int]]:
    """All that is in a run, with size and time of its last change."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.path.rglob("*")}


async def opened(pilot: Pilot[None]) -> SpeedtuiApp:
    """Chosen from the list of runs, as a person does who has a run of their own in front."""
    app = pilot.app
    assert isinstance(app, SpeedtuiApp)
    await press(pilot, "5")
    await listed(pilot)
    await press(pilot, "enter")
    assert isinstance(app.front.session, AttachedSession) and isinstance(app.screen, MonitorScreen)
    while app.front.state().training is None:
        await settled(pilot)
    return app


def said(app: SpeedtuiApp) -> list[str]:
    return [str(note.message) for note in app._notifications]


async def test_what_would_act_on_it_is_refused_with_whose_it_is(open_app: OpenApp, foreign: RunFolder) -> None:
    before, own = files(foreign), RecordedSession(b.training_log(200))
    with hold_lock(foreign.worker_lock):
        async with open_app(own, runs=foreign.path.parent).run_test(size=(120, 30)) as pilot:
            app = await opened(pilot)
            for act in (app.action_pause, app.action_stop_safely, app.action_kill):
                app.clear_notifications()
                act()
                await settled(pilot)
                assert isinstance(app.screen, MonitorScreen), "nothing is asked that is not done"
                refusals = [text for text in said(app) if "only looked at" in text]  # beside the verdict's notice
                assert len(refusals) == 1 and foreign.flaw() in refusals[0] and "--trust" in refusals[0]
    assert files(foreign) == before and own.commands == []


async def test_no_key_writes_into_it_or_asks_anything_of_it(open_app: OpenApp, foreign: RunFolder) -> None:
    before, own = files(foreign), RecordedSession(b.training_log(200))
    acting = [key for key in KEYS if key.live or key.id in ("run.kill", "run.profile")]
    with hold_lock(foreign.worker_lock):
        async with open_app(own, runs=foreign.path.parent).run_test(size=(120, 30)) as pilot:
            app = await opened(pilot)
            front = app.front
            for key in acting:
                screen = "1" if key.scope == "everywhere" else str(1 + SCREENS.index(key.scope))
                await press(pilot, screen, key.keys.split(",")[0])
                await pilot.press("down", "enter", "escape", "escape", "escape")
            await settled(pilot)
            assert app.front is front
    assert files(foreign) == before and own.commands == []


async def test_editing_its_schedule_changes_nothing_of_it(open_app: OpenApp, foreign: RunFolder) -> None:
    before = files(foreign)
    with hold_lock(foreign.worker_lock):
        async with open_app(RecordedSession(b.training_log(200)), runs=foreign.path.parent).run_test() as pilot:
            app = await opened(pilot)
            await press(pilot, "S")
            for field in app.screen.query(Input):
                if field.value.startswith("eval_every"):
                    field.value = "eval_every = 9 steps"
            await press(pilot, "ctrl+s", "enter")
    assert files(foreign) == before
    assert not foreign.commands.exists()


async def test_a_run_that_nobody_knows_of_is_said_to_be_so(open_app: OpenApp, foreign: RunFolder) -> None:
    foreign.worker_lock.unlink()
    foreign.worker_lock.mkdir()  # as little to be locked as one that may not be read
    async with open_app(RecordedSession(b.training_log(200)), runs=foreign.path.parent).run_test() as pilot:
        app = await opened(pilot)
        assert app.front.state().status == "unknown"
        with foreign.events.open("ab") as log:
            log.write(e.encode(e.RunFinished(t=9e9, outcome="ok", exit_code=0)))
        while not app.front.ended:
            await settled(pilot)
        assert app.front.state().status == "finished" and app.front.error is None
