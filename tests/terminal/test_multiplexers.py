"""The screen in tmux and in GNU screen: what they show, what they are left with."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from pseudo_terminal import PATIENCE_SECONDS, left_behind
from remote import COLUMNS, ROWS, OpenTerminal, Training, tool

pytestmark = pytest.mark.slow

RETURNED = "back in the shell"


class Session(NamedTuple):
    """A program in a multiplexer that nobody is attached to."""

    shown: Callable[[], str]
    """What stands on its screen."""
    type: Callable[[str], None]


@pytest.fixture
def tmux(training: Training, tmp_path: Path) -> Iterator[Session]:
    base = [tool("tmux"), "-S", str(tmp_path / "tmux"), "-f", "/dev/null"]

    def call(*words: str) -> str:
        return subprocess.run([*base, *words], capture_output=True, text=True, check=True).stdout

    call("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), f"{training.attach}; echo {RETURNED}; sleep 600")
    yield Session(
        lambda: call("capture-pane", "-p") + call("display-message", "-p", "#{pane_title}"),
        lambda keys: (call("send-keys", keys), None)[1],
    )
    subprocess.run([*base, "kill-server"], capture_output=True)


def wait_for(session: Session, text: str) -> str:
    end = time.monotonic() + PATIENCE_SECONDS
    shown = session.shown()
    while text not in shown and time.monotonic() < end:
        time.sleep(0.2)
        shown = session.shown()
    assert text in shown, shown
    return shown


def test_tmux_shows_the_screen_with_its_title_and_gets_its_own_back(tmux: Session, training: Training) -> None:
    wait_for(tmux, "1 Monitor")
    wait_for(tmux, "step ")
    wait_for(tmux, "· speedtui")
    tmux.type("q")
    wait_for(tmux, "Leave?")
    tmux.type("d")
    shown = wait_for(tmux, RETURNED)
    assert "1 Monitor" not in shown and "· speedtui" not in shown
    assert training.goes_on()


def test_gnu_screen_shows_it_too(training: Training, open_terminal: OpenTerminal, tmp_path: Path) -> None:
    script = f"{training.attach}; echo {RETURNED}; sleep 600"
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    seen = open_terminal(
        [tool("screen"), "-U", "-c", "/dev/null", "-S", "speedtui-test", "sh", "-c", script], SCREENDIR=str(folder)
    )
    try:
        seen.shows("Monitor", "step ")
        seen.type("q")
        seen.shows("Leave?")
        seen.type("d")
        seen.shows(RETURNED)
        assert training.goes_on()
    finally:
        quits = shlex.join([tool("screen"), "-S", "speedtui-test", "-X", "quit"])
        subprocess.run(["sh", "-c", f"SCREENDIR={folder} {quits}"], capture_output=True)
    assert seen.terminal.wait(PATIENCE_SECONDS) is not None
    assert left_behind(seen.terminal.sent) == []
