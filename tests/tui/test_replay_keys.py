"""A recording under the keys, and a worker that is killed from the screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from pressing import press, settled, until
from recorded import RecordedSession

from speedtui.engine import events as e
from speedtui.engine.errors import JobError
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.replay import ReplaySession
from speedtui.engine.state import fold
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.options import ScreenOptions
from speedtui.tui.runs.killing import what_is_lost
from speedtui.tui.screens.confirm import Question

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


@pytest.fixture
def recording(tmp_path: Path) -> ReplaySession:
    folder = RunFolder(tmp_path / "20260101-000000-train-4f1a")
    folder.path.mkdir()
    log = sorted(b.finished_training_log(), key=lambda event: event.t)
    folder.events.write_bytes(b"".join(e.encode(event) for event in log))
    return ReplaySession(folder, speed=1e-3, stay=True)


def drawn_at(app: SpeedtuiApp) -> float | None:
    """Where in the recording the screen last said that it is, seconds."""
    frame = app.drawing.frame
    return frame.replay.t if frame is not None and frame.replay is not None else None


@pytest.mark.parametrize(
    ("keys", "fiftieths"),
    [
        (("right",), 1), (("right", "right", "left"), 1), (("L",), 5), (("L", "L", "H"), 5), (("shift+right",), 5),
        (("L", "shift+left"), 0), (("end",), 50), (("end", "home"), 0), (("end", "H"), 45), (("left",), 0),
    ],
)  # fmt: skip
async def test_a_key_goes_on_or_back_in_the_recording(
    recording: ReplaySession, keys: tuple[str, ...], fiftieths: int
) -> None:
    app = SpeedtuiApp(recording, ScreenOptions(read_only=True, clock=lambda: b.STARTED_AT))
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, *keys)
        at = recording.position()
        assert at.t == pytest.approx(fiftieths / 50 * at.end, abs=0.01)
        await until(pilot, lambda: recording.snapshot().t >= at.t - 60 and drawn_at(app) == pytest.approx(at.t, abs=1))


async def test_keys_change_the_speed_and_space_holds_it(recording: ReplaySession) -> None:
    app = SpeedtuiApp(recording, ScreenOptions(read_only=True, clock=lambda: b.STARTED_AT))
    recording.set_speed(8.0)
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "plus", "plus", "minus")
        assert recording.position().speed == 16.0
        await press(pilot, "space")
        assert recording.position().paused
        await press(pilot, "space")
        assert not recording.position().paused


async def test_the_finished_run_stays_and_is_left_without_a_question(recording: ReplaySession) -> None:
    app = SpeedtuiApp(recording, ScreenOptions(read_only=True, clock=lambda: b.STARTED_AT))
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "end")
        await until(pilot, lambda: recording.snapshot().outcome)
        app.tick()
        await settled(pilot)
        assert recording.snapshot().outcome == "ok" and not app.front.ended
        await press(pilot, "q")
        assert not isinstance(app.screen, Question)
    assert app.return_code == 0


async def test_the_replay_keys_move_nothing_where_there_is_no_recording(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "plus", "minus", "left", "right", "H", "L", "home", "end")
        assert session.commands == [] and not isinstance(pilot.app.screen, Question)


async def test_killing_asks_and_enter_keeps(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session).run_test(size=(100, 30)) as pilot:
        await press(pilot, "K", "enter")
        await press(pilot, "K", "y", "j", "enter")
        await press(pilot, "K", "escape")
        assert session.killed == 0
        await press(pilot, "K", "down", "enter")
        assert session.killed == 1


async def test_a_worker_that_cannot_be_killed_from_here_is_told_why(open_app: OpenApp) -> None:
    class Unreachable(RecordedSession):
        def kill(self) -> None:
            raise JobError("the worker is on node-9", "Kill it there.")

    app = open_app(Unreachable(b.training_log(200)))
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await press(pilot, "K", "down", "enter")
        assert any("the worker is on node-9. Kill it there." in note.message for note in app._notifications)


async def test_nothing_is_killed_in_a_recording_or_a_run_that_is_over(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session, read_only=True).run_test() as pilot:
        await press(pilot, "K")
        assert not isinstance(pilot.app.screen, Question)
    over = RecordedSession(b.finished_training_log())
    async with open_app(over).run_test() as pilot:
        over.end()
        await press(pilot, "K")
        assert not isinstance(pilot.app.screen, Question) and over.killed == 0


async def test_the_question_says_what_would_be_lost() -> None:
    training = what_is_lost(fold(b.training_log(7578)))
    assert "378 steps since the checkpoint at step 7200" in training
    assert "speedtui train --resume 20260101-000000-train-4f1a" in training
    assert "no checkpoint yet" in what_is_lost(fold(b.training_log(200)))
    assert "Trial #5" in what_is_lost(fold(b.study_log())) and "next trial" in what_is_lost(fold(b.study_log()))
    assert "starts its worker again" in what_is_lost(fold(b.idle_study_log()))
