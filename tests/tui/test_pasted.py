"""Text that is pasted is no row of keys, the shell can have its terminal, a dialog stands over a living screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import builders as b
import psutil
import pytest
from pressing import press, settled
from pseudo_terminal import REPLAYING, Seen, Terminal, left_behind, shown, step_of
from recorded import RecordedSession
from textual.events import Key

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.deadline import DeadlinePane
from speedtui.tui.screens.compare import CompareScreen
from speedtui.tui.screens.confirm import Question
from speedtui.tui.screens.help import HelpScreen
from speedtui.tui.terminal.refresh_rate import BUDGET_BYTES_PER_SECOND
from speedtui.tui.terminal.typed_keys import pasted_characters

OpenApp = Callable[..., SpeedtuiApp]
WHOLE = ("Deadline", "ON TRACK", "Step", "Events", "Loss", "quit")
"""Of each pane of the Monitor something."""


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    with shown("training", tmp_path) as found:
        yield found


def keys_of(text: str) -> list[Key]:
    """As a terminal sends them that says nothing of pasting."""
    names = {"\n": "enter", "\t": "tab", " ": "space"}
    return [Key(names.get(character, character), character) for character in text]


@pytest.mark.parametrize("text", ["ls\n", "s\ny\n", "git push --force\n", "jjs", "import torch\n\tprint(1)\n", "数据s"])
def test_what_comes_in_one_piece_is_pasted(text: str) -> None:
    assert pasted_characters(keys_of(text)) == len(text)


@pytest.mark.parametrize("text", ["", "s", "gg", "2j", "jjjjjjjjjjjj", "\n\n\n"])
def test_what_a_person_types_or_holds_down_is_not(text: str) -> None:
    assert pasted_characters(keys_of(text)) == 0
    assert pasted_characters([*keys_of(text[:1]), *(Key("down", None) for _ in range(9))]) == 0


def test_pasted_text_does_nothing_with_or_without_brackets_and_is_told(seen: Seen) -> None:
    seen.until(lambda text: "ON TRACK" in text)
    seen.type("ls -la runs\nsqy\n")
    shown = seen.until(lambda text: "16 characters at once: taken for pasted text" in " ".join(text.split()))
    assert "Stop" not in shown and "Leave" not in shown
    seen.type("\x1b[200~sq\rK\x1b[201~")
    shown = seen.until(lambda text: "4 characters at once" in text)
    assert "Stop" not in shown and "Leave" not in shown and "Kill" not in shown
    assert seen.leave() == 0


def test_a_field_takes_what_is_pasted_into_it(seen: Seen) -> None:
    seen.until(lambda text: "ON TRACK" in text)
    seen.type("/")
    seen.until(lambda text: "words that must all occur" in text)
    seen.type("checkpoint")
    seen.until(lambda text: "/ checkpoint" in text)
    assert "taken for pasted text" not in seen.text


def test_a_screen_behind_a_dialog_goes_on_and_sends_only_what_changed(seen: Seen) -> None:
    seen.until(lambda text: "ON TRACK" in text)
    seen.type("q")
    seen.until(lambda text: "Leave?" in text and step_of(text))
    seen.goes_on()
    assert "Leave?" in seen.text
    sent = seen.terminal.measure(3.0)
    assert sent.bytes <= BUDGET_BYTES_PER_SECOND * sent.seconds
    seen.goes_on()


def test_the_shell_has_the_terminal_until_fg_brings_the_whole_screen_back(tmp_path: Path) -> None:
    """The screen is started by another program of the shell's job, as by make or uv: all of it is suspended."""
    (tmp_path / "inputrc").write_text("set enable-bracketed-paste off\n")
    env = {"TMPDIR": str(tmp_path), "PS1": "ready> ", "INPUTRC": str(tmp_path / "inputrc")}
    terminal = Terminal(["/bin/bash", "--norc", "-i"], 100, 30, env)
    seen = Seen(terminal, 100, 30)
    try:
        seen.until(lambda text: "ready>" in text)
        seen.type(f"sh -c '{sys.executable} {REPLAYING} training; true'\r")
        for _ in range(2):
            seen.until(lambda text: "ON TRACK" in text and "quit" in text)
            seen.type("?")
            seen.until(lambda text: "Help: Monitor" in text)
            seen.type("\x1a")
            seen.until(lambda text: "Stopped" in text)
            assert left_behind(terminal.sent) == []
            seen.type("echo th''ere\r")
            seen.until(lambda text: "there" in text)
            seen.type("fg\r")
            seen.until(lambda text: "Help: Monitor" in text)
            seen.type("\x1b")
            seen.until(lambda text: "Help" not in text and "Stopped" not in text and all(map(text.__contains__, WHOLE)))
        seen.type("q")
        seen.until(lambda text: "Leave?" in text)
        seen.type("d")
        seen.until(lambda text: "ready>" in text)
        assert left_behind(terminal.sent) == []
    finally:
        for process in psutil.Process(terminal.pid).children(recursive=True):
            process.kill()
        terminal.kill()


async def test_panes_behind_a_dialog_show_what_came_meanwhile(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    async with open_app(session, rate_hz=5.0).run_test(size=(100, 30)) as pilot:
        await press(pilot, "s")
        app = pilot.app
        assert isinstance(app, SpeedtuiApp) and isinstance(app.screen, Question) and app.seen is not None
        session.hear(b.step(200.0, 201))
        app.tick()
        await settled(pilot)
        rows = app.seen.query_one(DeadlinePane).rows
        assert any("step 201/" in plain(line) for line in rows)


@pytest.mark.parametrize(("key", "scope"), [("1", "monitor"), ("3", "plan"), ("4", "advisor")])
async def test_number_keys_leave_what_is_only_read_for_another_screen(key: str, scope: str, open_app: OpenApp) -> None:
    session = RecordedSession(b.study_log(finished=True))
    async with open_app(session, start_screen="trials").run_test(size=(140, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, SpeedtuiApp)
        await press(pilot, "space", "j", "space", "m")
        assert isinstance(app.screen, CompareScreen)
        await press(pilot, key)
        assert app.scope == scope and app.view is not None
        await press(pilot, "question_mark")
        assert isinstance(app.screen, HelpScreen)
        await press(pilot, "2")
        assert app.scope == "trials" and app.view is not None
