"""A person's own keys: read, refused where they cannot be used, pressed, and shown."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from click.testing import CliRunner
from pressing import settled
from recorded import RecordedSession

from speedtui.engine import commands as c
from speedtui.engine.errors import ExitCode
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.commands.keys import command
from speedtui.tui.drawing.text import plain
from speedtui.tui.keys import KEYS
from speedtui.tui.keys.keymap import KeymapFile, example, read_keymap
from speedtui.tui.keys.names import shown_name, textual_name
from speedtui.tui.palette import palette_commands
from speedtui.tui.panes.footer import Footer
from speedtui.tui.screens.help import HelpScreen
from speedtui.tui.screens.monitor import MonitorScreen

OpenApp = Callable[..., SpeedtuiApp]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the keymap file is looked for."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "speedtui").mkdir()
    return tmp_path / "speedtui" / "keys.toml"


def read(file: Path, *lines: str) -> KeymapFile:
    file.write_text("\n".join(["[keys]", *lines]) + "\n")
    return read_keymap()


@pytest.mark.parametrize(
    ("written", "name", "shown"),
    [
        ("a", "a", "a"), ("A", "A", "A"), ("[", "left_square_bracket", "["), ("/", "slash", "/"), ("+", "plus", "+"),
        (",", "comma", ","), ("esc", "escape", "esc"), ("shift+tab", "shift+tab", "⇧tab"), ("up", "up", "↑"),
        ("F5", "f5", "f5"), ("Ctrl+x", "ctrl+x", "ctrl+x"), ("shift+a", "A", "A"), (" ", "space", "space"),
        ("spce", None, ""), ("a,b", None, ""), ("", None, ""), ("meta+x", None, ""), ("\n", None, ""),
    ],
)  # fmt: skip
def test_a_key_is_written_as_people_do(written: str, name: str | None, shown: str) -> None:
    assert textual_name(written) == name
    assert name is None or shown_name(name) == shown


def test_every_key_of_the_table_can_be_written_and_is_shown_as_the_table_says() -> None:
    for key in KEYS:
        names = key.keys.split(",")
        assert [textual_name(name) for name in names] == names
        assert key.shown.split()[0] in (shown_name(names[0]), "⇧tab")


def test_without_a_file_there_is_nothing_to_tell(home: Path) -> None:
    assert read_keymap() == KeymapFile(path=home)


def test_keys_are_read_by_id_whether_the_id_is_quoted_or_not(home: Path) -> None:
    file = read(home, 'run.pause = "P"', '"filter.next" = ">"', 'copy = ["Y", "insert"]', 'move.up = ["up", "k"]')
    assert file.keymap == {"run.pause": "P", "filter.next": "greater_than_sign", "copy": "Y,insert"}
    assert file.problems == ()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('run.paus = "P"', "run.paus is not the id of a key; did you mean run.pause?"),
        ("run.pause = 3", 'run.pause: expected a key such as "P" or a list such as ["P", "space"], got 3'),
        ("run.pause = []", "expected a key"),
        ('run.pause = "spce"', "expected one character or a name such as space, enter, up; got 'spce'; did you mean"),
        ('run.pause = "a,b"', "write two keys as a list"),
        ('monitor.evaluate = "c"', "monitor.evaluate = c is the key of monitor.checkpoint (save a checkpoint now)"),
        ('run.pause = "q"', "run.pause = q is the key of leave"),
        ('leave = "esc"', "leave: esc is only ever back"),
        ('copy = "ctrl+i"', "copy: terminals send ctrl+i as tab; write that"),
        ('copy = "ctrl+c"', "copy: ctrl+c always asks whether to leave"),
    ],
)
def test_an_entry_that_cannot_be_used_is_told_with_file_and_line_and_left_as_it_was(
    line: str, says: str, home: Path
) -> None:
    file = read(home, "# a comment", line)
    assert file.keymap == {}
    (problem,) = file.refused
    assert problem.startswith(f"{home}, line 3: ")
    assert says in problem


def test_one_bad_entry_spoils_no_other(home: Path) -> None:
    file = read(home, 'nothing = "x"', 'copy = "Y"')
    assert file.keymap == {"copy": "Y"}
    assert len(file.refused) == 1


def test_two_keys_can_change_places(home: Path) -> None:
    assert read(home, 'run.stop = "p"', 'run.profile = "s"').keymap == {"run.stop": "p", "run.profile": "s"}


def test_a_key_given_up_by_a_refused_entry_is_not_given_to_another(home: Path) -> None:
    file = read(home, 'run.stop = "q"', 'run.profile = "s"')
    assert file.keymap == {}
    assert len(file.refused) == 2


def test_a_key_that_may_not_arrive_is_taken_with_a_warning(home: Path) -> None:
    file = read(home, 'copy = "f5"', 'run.stop = "alt+s"', 'run.kill = "ctrl+k"')
    assert file.keymap == {"copy": "f5", "run.stop": "alt+s", "run.kill": "ctrl+k"}
    assert file.refused == ()
    assert "line 2: copy = f5 may not arrive: function keys" in file.warnings[0]
    assert "alt arrives as escape" in file.warnings[1] and "tmux" in file.warnings[2]


@pytest.mark.parametrize("text", ["[keys]\nrun.pause = \n", "[keys\n", "\xff"])
def test_a_file_that_is_no_toml_changes_nothing_and_says_so(text: str, home: Path) -> None:
    home.write_bytes(text.encode("latin-1"))
    file = read_keymap()
    assert file.keymap == {}
    assert "cannot be read, so all keys are as shipped" in file.refused[0]


@pytest.mark.parametrize("text", ['run.pause = "P"\n', "[key]\n", "keys = 3\n", '[other]\nx = "y"\n'])
def test_keys_outside_their_table_are_told(text: str, home: Path) -> None:
    home.write_text(text)
    file = read_keymap()
    assert file.keymap == {} and len(file.refused) == 1


def test_the_example_names_every_key_and_changes_none(home: Path) -> None:
    assert tomllib.loads(example()) == {"keys": {}}
    home.write_text(re.sub(r"(?m)^# (?=[a-z_]+(\.[a-z_]+)? = )", "", example()))
    tables = tomllib.loads(home.read_text())["keys"]
    assert sum(len(value) if isinstance(value, dict) else 1 for value in tables.values()) == len(KEYS)
    assert read_keymap() == KeymapFile(path=home)


def test_the_command_lists_the_keys_and_marks_the_changed_ones(home: Path) -> None:
    read(home, 'run.pause = "P"')
    result = CliRunner().invoke(command, [], standalone_mode=False)
    assert result.return_value is ExitCode.DONE
    assert "* P         run.pause" in result.output and "  e         monitor.evaluate" in result.output
    assert f"Changed in {home}; * marks" in result.output
    lines = [json.loads(line) for line in CliRunner().invoke(command, ["--json"]).output.splitlines()]
    assert len(lines) == len(KEYS)
    assert [line["id"] for line in lines if line["remapped"]] == ["run.pause"]
    assert lines[0]["keys"] == ["P"]


def test_the_command_ends_with_a_failure_where_an_entry_cannot_be_used(home: Path) -> None:
    read(home, 'run.paus = "P"')
    result = CliRunner().invoke(command, [], standalone_mode=False)
    assert result.return_value is ExitCode.USAGE
    assert "did you mean run.pause?" in result.stderr


async def test_a_remapped_key_works_the_old_one_does_not_and_both_footer_and_help_show_it(open_app: OpenApp) -> None:
    session = RecordedSession(b.training_log(200))
    keymap = {"run.pause": "P", "monitor.evaluate": "f5,E", "help": "H"}
    async with open_app(session, keymap=keymap).run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        await pilot.press("space", "e")
        assert session.commands == []
        await pilot.press("P", "f5", "E")
        await settled(pilot)
        assert [c.command_name(sent) for sent in session.commands] == ["pause", "evaluate", "evaluate"]
        assert "P pause" in plain(pilot.app.screen.query_one(Footer).rows[0])
        await pilot.press("H")
        await settled(pilot)
        assert isinstance(pilot.app.screen, HelpScreen)
        shown = "\n".join(plain(line) for line in pilot.app.screen.body(100))
        assert " P        pause" in shown and " f5 E     evaluate" in shown
        titles = {command.words: command.key for command in palette_commands(pilot.app)}  # type: ignore[arg-type]
        assert titles["evaluate now"] == "f5 E"
        await pilot.press("H")
        await settled(pilot)
        assert isinstance(pilot.app.screen, MonitorScreen)


async def test_what_is_wrong_with_the_file_is_said_when_the_screen_opens(open_app: OpenApp) -> None:
    async with open_app(b.training_log(200), warnings=("keys.toml, line 3: no",)).run_test() as pilot:
        await settled(pilot)
        assert [note.message for note in pilot.app._notifications] == ["keys.toml, line 3: no"]
