from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from speedtui.engine.doctor.terminal import check_colours, check_encoding, check_terminal, terminal_size

SIZE_REPORT = """
from speedtui.engine.doctor.terminal import check_terminal
check = check_terminal()
print(check.status, check.found, check.advice, sep="|")
"""


def in_terminal(columns: int, rows: int, **variables: str) -> list[str]:
    """Runs the terminal check with a real terminal as its input; its output goes through a pipe."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("TMUX", "STY", "TERM")}
    command = [sys.executable, "-c", SIZE_REPORT]
    done = subprocess.run(command, stdin=theirs, capture_output=True, text=True, env=kept | variables, check=True)
    os.close(ours)
    os.close(theirs)
    return done.stdout.rstrip("\n").split("|")


def test_a_usual_terminal_is_fine() -> None:
    assert in_terminal(140, 40, TERM="xterm-256color") == ["ok", "xterm-256color, 140x40", ""]


def test_a_small_terminal_is_a_warning() -> None:
    status, found, advice = in_terminal(60, 20, TERM="xterm")
    assert (status, found) == ("warning", "xterm, 60x20")
    assert "80x24" in advice


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {}])
def test_a_terminal_of_no_kind_cannot_show_the_screen(variables: dict[str, str]) -> None:
    status, found, advice = in_terminal(140, 40, **variables)
    assert status == "warning"
    assert found == f"{variables.get('TERM', 'TERM not set')}, 140x40"
    assert "xterm-256color" in advice


def test_tmux_and_screen_are_told_apart() -> None:
    assert in_terminal(80, 24, TERM="screen-256color", TMUX="/tmp/tmux-0/default,1,0")[1].endswith("inside tmux")
    assert in_terminal(80, 24, TERM="tmux-256color")[1].endswith("inside tmux")
    assert in_terminal(80, 24, TERM="screen", STY="12.pts-0.host")[1].endswith("inside screen")


@pytest.mark.skipif(terminal_size() is not None, reason="the tests run in a terminal")
def test_without_a_terminal_jobs_are_said_to_run_all_the_same() -> None:
    check = check_terminal()
    assert check.status == "warning"
    assert "jobs run without one" in check.advice


@pytest.mark.parametrize(
    ("variables", "status", "found"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, "ok", "16 million"),
        ({"TERM": "xterm-256color"}, "ok", "256"),
        ({"TERM": "linux"}, "ok", "16"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "warning", "none"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "ok", "none, as NO_COLOR asks"),
    ],
)
def test_colours_follow_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], status: str, found: str
) -> None:
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    check = check_colours()
    assert (check.status, check.found) == (status, found)


def encoding_under(locale: str) -> list[str]:
    script = "from speedtui.engine.doctor.terminal import check_encoding as c; print(c().status, c().advice, sep='|')"
    environment = os.environ | {"LC_ALL": locale}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n").split("|")


def test_a_locale_without_utf_8_is_a_warning() -> None:
    assert encoding_under("C.UTF-8") == ["ok", ""]
    assert encoding_under("C") == ["warning", "Charts may show as question marks: export LC_ALL=C.UTF-8"]


def test_the_encoding_names_the_variable_that_sets_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert "LC_ALL=C.UTF-8" in check_encoding().found
