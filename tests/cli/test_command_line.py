"""The command line itself: help, names that are wrong, what is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from speedtui.engine.errors import ExitCode
from speedtui.tui.cli import COMMANDS
from tests.cli.conftest import MAIN
from tests.cli.program import Place, Program

HEAVY = {"torch", "transformers", "datasets", "numpy", "textual"}
"""What makes a start slow: seconds for torch, a third of one for textual."""

COMMON = ("--config", "--runs", "--json", "-q", "-v")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_there_and_imports_nothing_heavy(place: Place, command: str) -> None:
    ended = Program([sys.executable, "-c", MAIN, *command.split(), "--help"], place.folder).end()
    assert ended.code == ExitCode.DONE, ended.err
    assert ended.out.startswith("Usage: speedtui" + (f" {command} " if command else " "))
    assert not command or all(option in ended.out for option in COMMON)
    assert not HEAVY & set((place.folder / "modules.txt").read_text().split())


def test_the_help_names_every_command_with_what_it_does(place: Place) -> None:
    text = " ".join(place.run("--help").out.split())
    assert all(f"{name} {says}" in text for name, says in COMMANDS.items())


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("tun",), "No such command 'tun'; did you mean tune?", "`speedtui --help` says what there is."),
        (("tune", "--batch", "3"), "No such option '--batch'.", "`speedtui tune --help` says what there is."),
        (("tune", "--batches", "x"), "Invalid value for '--batches': 'x' is not a valid integer.", "tune --help"),
        (("train", "--resume"), "Option '--resume' requires an argument.", "train --help"),
        (("replay",), "Missing argument 'RUN'.", "`speedtui runs` lists the runs; `speedtui replay --help`"),
        (("replay", "x", "--speed", "0"), "Invalid value for '--speed'", "replay --help"),
        (
            ("replay", "x", "--speed", "nan"),
            "Invalid value for '--speed': nan is not a finite number.",
            "replay --help",
        ),
        (("--rate", "nan", "runs"), "Invalid value for '--rate': nan is not a finite number.", "speedtui --help"),
        (("send", "", "stop"), "the argument after send is empty", "variable of the shell"),
        (("train", "--deadline", ""), "the argument after --deadline is empty", "variable of the shell"),
        (("train", "--deadline="), "the value of --deadline is empty", "variable of the shell"),
        (("train", "--resume", "x", "--epochs", "1"), "--resume goes on with the run as it was", "Leave out --epochs"),
        (
            ("train", "--resume", "x", "--config", "speedtui.toml"),
            "--resume goes on with the run",
            "Leave out --config",
        ),
        (("runs", "--config", "/nonexistent"), "--config: `speedtui runs` reads no configuration", "Leave it out."),
        (("demo", "--config", "/nonexistent"), "/nonexistent: no such configuration file", "speedtui init"),
        (("runs", "--runs", "speedtui.toml"), "speedtui.toml: a file, and no folder of runs", "with --runs"),
        (("report", "x"), "runs: no runs here", "speedtui tune"),
        (("train", "--trial", "3"), "runs: no study here", "speedtui tune"),
    ],
)
def test_a_wrong_command_line_is_answered_in_two_lines(
    place: Place, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    ended = place.run(*arguments)
    assert ended.code == ExitCode.USAGE
    assert ended.out == ""
    assert ended.message.startswith(message)
    assert hint in ended.hint
    assert place.untouched


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_what_holds_no_event_is_no_recording(place: Place, option: tuple[str, ...]) -> None:
    for text, why in (("", "nothing written yet"), ("root:x:0:0\nbin:x:1:1\n", "2 damaged lines")):
        path = place.write("events.txt", text)
        ended = place.run("replay", str(path), *option)
        assert ended.code == ExitCode.USAGE and ended.out == ""
        assert f"speedtui: {path}: no run is told in it: {why}" in ended.err
    place.write("events.txt", '{"v":1,"type":"notice","t":0.1,"level":"warning","text":"a notice","hint":""}\n')
    ended = place.run("replay", "events.txt", *option)
    assert ended.code == ExitCode.DONE and "a notice" in ended.out


def test_without_a_terminal_and_a_command_it_says_that_one_is_needed(place: Place) -> None:
    ended = place.run()
    assert ended.code == ExitCode.USAGE
    assert ended.message == "there is no terminal to open the screen on"
    assert place.untouched


def test_the_version_is_the_package_s(place: Place) -> None:
    assert place.run("--version").out.startswith("speedtui, version ")


def test_the_module_is_the_program_too(place: Place) -> None:
    ended = Program([sys.executable, "-m", "speedtui.tui.cli", "runs"], place.folder).end()
    assert ended.code == ExitCode.DONE
    assert ended.out.startswith("No runs in runs.")


def run_into(stdout: int, place: Place) -> tuple[int, str]:
    """(exit code, stderr) of a list that is written there."""
    command = [sys.executable, "-m", "speedtui.tui.cli", "runs"]
    ended = subprocess.run(command, cwd=place.folder, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    os.close(stdout)
    return ended.returncode, ended.stderr


def test_a_full_disk_behind_stdout_is_one_clear_error(place: Place) -> None:
    code, said = run_into(os.open("/dev/full", os.O_WRONLY), place)
    assert code == ExitCode.FAILED
    assert said.splitlines()[0] == "speedtui: stdout: No space left on device"
    assert "Traceback" not in said


def test_a_list_that_nobody_reads_is_no_error(place: Place) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert run_into(writer, place) == (ExitCode.DONE, "")


def test_doctor_gives_one_json_object_a_line(place: Place) -> None:
    ended = place.run("doctor", "--json")
    assert ended.code == ExitCode.DONE
    checks = ended.lines()
    assert {"Python", "torch"} <= {check["name"] for check in checks}
    assert all(set(check) == {"name", "status", "found", "advice"} for check in checks)
