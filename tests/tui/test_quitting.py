"""How the screen is left, and what becomes of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import builders as b
import pytest
from pressing import heard, press, settled, until
from recorded import RecordedSession

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.errors import ConfigError, ExitCode
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.launch import _exit_code
from speedtui.tui.panes.deadline import DeadlinePane
from speedtui.tui.screens.confirm import Question

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


async def test_leaving_a_running_job_asks_and_escape_stays(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session).run_test() as pilot:
        await press(pilot, "q")
        assert isinstance(pilot.app.screen, Question)
        await press(pilot, "escape")
        assert pilot.app.is_running and not session.detached and session.commands == []


@pytest.mark.parametrize("keys", [("q", "enter"), ("q", "d"), ("ctrl+q", "enter"), ("ctrl+c", "d")])
async def test_detaching_is_the_first_answer_and_leaves_the_run_alone(keys: tuple[str, ...], open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    app = open_app(session)
    async with app.run_test() as pilot:
        await press(pilot, *keys)
    assert session.detached and session.commands == []
    assert _exit_code(app) is ExitCode.DONE


@pytest.mark.parametrize(("down", "command"), [(1, "stop"), (2, "cancel")])
async def test_stopping_waits_for_the_run_to_end_and_takes_its_exit_code(
    down: int, command: str, open_app: OpenApp
) -> None:
    session = RecordedSession(b.training_log(200))
    app = open_app(session, rate_hz=5.0)
    async with app.run_test() as pilot:
        await press(pilot, "q", *["down"] * down, "enter")
        assert [c.command_name(sent) for sent in session.commands] == [command]
        assert app.is_running
        session.end(ExitCode.LATE)
        await until(pilot, lambda: not app.is_running)
    assert _exit_code(app) is ExitCode.LATE
    assert not session.detached


async def test_a_finished_run_stays_on_the_screen_until_q(open_app: OpenApp) -> None:
    session = RecordedSession(b.finished_training_log())
    app = open_app(session, rate_hz=5.0)
    async with app.run_test() as pilot:
        session.end(ExitCode.DONE)
        await until(pilot, lambda: app.front.ended)
        await heard(pilot, session)
        assert app.is_running
        await press(pilot, "q")
    assert _exit_code(app) is ExitCode.DONE


async def test_leaving_an_idle_study_ends_its_worker_without_asking(open_app: OpenApp) -> None:
    session = RecordedSession(b.idle_study_log())
    app = open_app(session, rate_hz=5.0)
    async with app.run_test() as pilot:
        await press(pilot, "q")
        assert [c.command_name(sent) for sent in session.commands] == ["finish"]
        session.end()
        await until(pilot, lambda: not app.is_running)
    assert _exit_code(app) is ExitCode.DONE


async def test_leaving_a_run_that_is_only_shown_never_touches_it(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, read_only=True).run_test() as pilot:
        await press(pilot, "q")
    assert session.detached and session.commands == []


async def test_an_error_of_the_session_is_shown_and_becomes_the_exit_code(open_app: OpenApp) -> None:
    session = RecordedSession(error=ConfigError("speedtui.toml: model.path is missing", "Add it."))
    app = open_app(session, rate_hz=5.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: app.front.ended)
        app.tick()
        await settled(pilot)
        shown = "\n".join(plain(line) for line in pilot.app.screen.query_one(DeadlinePane).rows)
        assert "speedtui.toml: model.path is missing" in shown
        assert any("model.path is missing" in note.message for note in app._notifications)
        await press(pilot, "q")
    assert _exit_code(app) is ExitCode.USAGE


async def test_a_termination_interrupts_the_job_and_is_the_exit_code(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    app = open_app(session)
    async with app.run_test() as pilot:
        await until(pilot, lambda: session.followed)
        app.quitting.terminate(ExitCode.TERMINATED)
    assert session.interrupted == [ExitCode.TERMINATED]
    assert _exit_code(app) is ExitCode.TERMINATED


async def test_a_worker_lost_while_looking_on_is_notified(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, rate_hz=5.0).run_test() as pilot:
        await heard(pilot, session, e.WorkerLost(t=500.0, reason="killed by SIGKILL", restarting=True))
        assert any("killed by SIGKILL" in note.message for note in pilot.app._notifications)


async def test_trouble_from_before_the_screen_was_opened_is_not_notified_again(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session, rate_hz=5.0).run_test() as pilot:
        await heard(pilot, session, e.Notice(t=2.0, level="error", text="an old one"))
        assert not [note for note in pilot.app._notifications if "an old one" in note.message]


async def test_the_session_runs_beside_the_screen_and_not_in_it(open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log())
    async with open_app(session).run_test() as pilot:
        await until(pilot, lambda: session.followed)
        assert asyncio.get_running_loop().is_running()
        assert [worker.name for worker in pilot.app.workers if worker.group == "engine"]
