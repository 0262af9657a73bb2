"""The list of runs, several open at once, and how the screen is left then."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import builders as b
import pytest
from pressing import press, until
from recorded import RecordedSession
from textual.pilot import Pilot

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.run_summary import RunSummary, read_summary
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain, width_of
from speedtui.tui.options import ScreenOptions
from speedtui.tui.panes.run_rows import draw_runs, matching
from speedtui.tui.screens.confirm import Question
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.screens.runs import RunsScreen
from speedtui.tui.screens.trials import TrialsScreen

OpenApp = Callable[..., SpeedtuiApp]
ENDED = e.RunFinished(t=400.0, outcome="ok", exit_code=0, next="Train with the best settings.")


def write(runs: Path, name: str, events: list[e.AnyEvent]) -> RunFolder:
    folder = RunFolder((runs / name).resolve())
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(b"".join(e.encode(event) for event in events))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    write(folder, "20260101-000000-tune-aaaa", [*b.study_log(finished=True), ENDED])
    write(folder, "20260101-010000-train-bbbb", b.finished_training_log())
    write(folder, "20260101-020000-train-cccc", b.training_log(400, verdict="tight"))
    write(folder, "20260101-030000-train-dddd", [])
    write(folder, "20260101-040000-demo-eeee", b.loading_log())
    (folder / "notes").mkdir()
    return folder


async def listed(pilot: Pilot[None]) -> RunsScreen:
    """The list, once the folder was read."""
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen) and pilot.app.screen._found is not None)
    assert isinstance(pilot.app.screen, RunsScreen)
    return pilot.app.screen


def text_of(screen: RunsScreen, width: int = 116) -> str:
    return "\n".join(plain(line) for line in screen.body(width))


def ids(screen: RunsScreen) -> list[str]:
    return [one.folder.id[-4:] for one in screen.shown]


@pytest.mark.asyncio
async def test_five_lists_the_runs_and_enter_opens_one_which_is_then_in_front(open_app: OpenApp, runs: Path) -> None:
    app = open_app(RecordedSession(b.training_log(200)), runs=runs)
    async with app.run_test(size=(120, 30)) as pilot:
        await press(pilot, "5")
        screen = await listed(pilot)
        assert sorted(ids(screen)) == ["aaaa", "bbbb", "cccc", "dddd", "eeee"]
        await press(pilot, *"/bbbb", "enter")
        assert ids(screen) == ["bbbb"]
        await press(pilot, "enter")
        assert isinstance(app.front.session, AttachedSession) and app.front.session.folder.id.endswith("bbbb")
        assert app.read_only and len(app.runs.open) == 2 and isinstance(app.screen, MonitorScreen)
        await until(pilot, lambda: app.front.ended)
        assert app.front.state().outcome == "ok" and app.front.error is None
        await press(pilot, "5")
        await listed(pilot)
        await press(pilot, *"/tune", "enter", "enter")
        assert isinstance(app.screen, TrialsScreen) and len(app.runs.open) == 3
        await press(pilot, "5")
        await listed(pilot)
        await press(pilot, *"/bbbb", "enter", "enter")
        assert len(app.runs.open) == 3 and app.runs.open.index(app.front) == 1, "it was open already"


@pytest.mark.asyncio
async def test_the_open_runs_are_stepped_through_and_closed(open_app: OpenApp, runs: Path) -> None:
    own = RecordedSession(b.training_log(200))
    app = open_app(own, runs=runs)
    async with app.run_test(size=(120, 30)) as pilot:
        await press(pilot, "5")
        await listed(pilot)
        await press(pilot, *"/bbbb", "enter", "enter")
        other = app.front
        await press(pilot, "full_stop")
        assert app.front.session is own and not app.read_only
        await press(pilot, "comma")
        assert app.front is other
        frame = app.drawing.frame
        assert frame is not None and (frame.at, frame.runs, frame.read_only) == (1, 2, True)
        await press(pilot, "5")
        screen = await listed(pilot)
        assert "●" in text_of(screen)
        await press(pilot, "x")
        assert app.runs.open == [app.front] and app.front.session is own and isinstance(app.screen, RunsScreen)
        await press(pilot, "x")
        assert len(app.runs.open) == 1, "the last one stays"
        await press(pilot, "escape")
        assert isinstance(app.screen, MonitorScreen)
        assert not own.detached


@pytest.mark.asyncio
async def test_escape_takes_away_the_filter_and_then_the_list(open_app: OpenApp, runs: Path) -> None:
    app = open_app(RecordedSession(b.training_log(200)), runs=runs)
    async with app.run_test(size=(120, 30)) as pilot:
        await press(pilot, "5")
        screen = await listed(pilot)
        await press(pilot, *"/train x", "backspace", "backspace")
        assert len(ids(screen)) == 3 and "/train" in text_of(screen)
        await press(pilot, "escape")
        assert len(ids(screen)) == 5
        await press(pilot, "j", "j", "k", "G", "g", "down", "up", "end", "home")
        assert screen.at == 0
        await press(pilot, "G")
        assert screen.at == 4
        await press(pilot, "5")
        assert isinstance(app.screen, MonitorScreen)


@pytest.mark.asyncio
async def test_a_run_that_ends_while_it_is_listed_says_so(open_app: OpenApp, runs: Path) -> None:
    alive = RunFolder((runs / "20260101-020000-train-cccc").resolve())
    with ExitStack() as stack:
        stack.enter_context(hold_lock(alive.worker_lock))
        async with open_app(RecordedSession(), runs=runs, choose=True).run_test(size=(120, 30)) as pilot:
            screen = await listed(pilot)
            assert ids(screen)[0] == "cccc" and "▶ training" in text_of(screen)
            with alive.events.open("ab") as file:
                file.write(e.encode(e.RunFinished(t=300.0, outcome="failed", exit_code=1, reason="it broke")))
            stack.close()
            await until(pilot, lambda: "✗ failed" in text_of(screen))


@pytest.mark.asyncio
async def test_without_a_folder_the_list_says_why_there_is_none(open_app: OpenApp, tmp_path: Path) -> None:
    async with open_app(RecordedSession(b.training_log(200))).run_test() as pilot:
        await press(pilot, "5")
        assert isinstance(pilot.app.screen, MonitorScreen)
    async with open_app(RecordedSession(), runs=tmp_path / "none").run_test() as pilot:
        await press(pilot, "5")
        assert "speedtui demo" in text_of(await listed(pilot))


@pytest.mark.asyncio
async def test_leaving_asks_about_the_run_that_was_started_here_and_lets_the_others_go(
    open_app: OpenApp, runs: Path
) -> None:
    own = RecordedSession(b.training_log(200))
    app = open_app(own, runs=runs)
    alive = RunFolder((runs / "20260101-020000-train-cccc").resolve())
    with hold_lock(alive.worker_lock):
        async with app.run_test(size=(120, 30)) as pilot:
            await press(pilot, "5")
            await listed(pilot)
            await press(pilot, *"/cccc", "enter", "enter")
            other = app.front
            assert not app.read_only and not other.own
            await press(pilot, "q")
            assert isinstance(app.screen, Question)
            await press(pilot, "down", "enter")
            assert [type(sent).__name__ for sent in own.commands] == ["Stop"]
            own.end(ExitCode.DONE)
            await until(pilot, lambda: app._exit)
        await until(pilot, lambda: other.ended)
        assert other.exit_code is ExitCode.DONE and not alive.commands.exists()


@pytest.mark.asyncio
async def test_several_runs_that_others_have_started_are_left_without_a_question(runs: Path) -> None:
    folders = [
        RunFolder((runs / name).resolve()) for name in ("20260101-020000-train-cccc", "20260101-040000-demo-eeee")
    ]
    with hold_lock(folders[0].worker_lock), hold_lock(folders[1].worker_lock):
        app = SpeedtuiApp(AttachedSession(folders[0]), ScreenOptions(runs=runs))
        async with app.run_test(size=(120, 30)) as pilot:
            await press(pilot, "5")
            await listed(pilot)
            await press(pilot, *"/eeee", "enter", "enter", "q")
            assert app.quitting.status is ExitCode.DONE


def rows_of(runs: Path) -> list[RunSummary]:
    return [read_summary(RunFolder(path.resolve())) for path in sorted(runs.glob("2026*"))]


def test_no_row_is_wider_than_the_box_and_the_cursor_is_always_seen(runs: Path) -> None:
    found = rows_of(runs) * 8
    for width in (20, 36, 48, 60, 76, 120):
        for height in (1, 2, 4, 8, 20):
            for at in (0, 17, 39):
                drawn = draw_runs(found, at, width, height, opened=[], front=None, now=b.STARTED_AT + 9e4)
                assert len(drawn) <= height and max(map(width_of, drawn)) <= width
                assert sum(plain(line).startswith("›") for line in drawn) == 1


def test_a_row_says_what_the_run_is_what_it_does_how_far_it_is_and_when_it_ends(runs: Path) -> None:
    found = rows_of(runs)
    drawn = [plain(line) for line in draw_runs(found, 1, 116, 20, opened=[], front=None, now=b.STARTED_AT + 9e3)]
    study, done, lost, empty, _ = drawn[1:6]
    assert re.search(r"tune +■ finished +8/8 .*8 candidates, best #7", study)
    assert re.search(r"› +train +■ finished +100\.0 % +02:08 +2h 30m +mb8 ga2", done)
    assert re.search(r"train +✗ lost +2\.2 %", lost) and "tight" not in lost
    assert "✗ unreadable" in empty and "nothing written yet" in empty
    assert drawn[-2].startswith("20260101-010000-train-bbbb on node-7") and "The model is in" in drawn[-1]


def test_a_filter_looks_at_everything_that_a_row_says(runs: Path) -> None:
    found = rows_of(runs)
    for words, expected in (
        ("candidates best", ["aaaa"]),
        ("TRAIN finished", ["bbbb"]),
        ("lost mb8", ["cccc"]),
        ("x y", []),
    ):
        assert [one.folder.id[-4:] for one in matching(found, words)] == expected, words
