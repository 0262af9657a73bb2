"""Signals: whose they are, and what becomes of a job in this process when its screen is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest
from pseudo_terminal import Terminal, left_behind

from speedtui.engine.errors import ExitCode
from speedtui.tui.terminal.process import signals_handled

BUSY = """
import pathlib, sys, time
sys.path.insert(0, {tests!r})
import builders
from recorded import RecordedSession
from speedtui.tui.launch import ScreenOptions, show
class Busy(RecordedSession):
    def run(self, on_line=None):
        code = super().run(on_line)
        time.sleep({seconds})  # a call into C that cannot be interrupted
        return code
session = Busy(builders.training_log(), folder=pathlib.Path({folder!r}))
sys.exit(int(show(session, options=ScreenOptions())))
"""


def forked(seconds: float = 20.0) -> int:
    """A child like a data loader's worker: it inherits the handlers."""
    pid = os.fork()
    if pid == 0:
        time.sleep(seconds)
        os._exit(0)
    return pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_a_forked_worker_ends_that_worker_and_nothing_else(number: signal.Signals) -> None:
    heard: list[object] = []
    with signals_handled(heard.append, lambda: heard.append("hang up")):
        pid = forked()
        time.sleep(0.2)
        os.kill(pid, number)
        _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number
    assert heard == []


def test_the_process_itself_hears_its_signals_and_gives_the_handlers_back() -> None:
    heard: list[object] = []
    before = signal.getsignal(signal.SIGTERM)
    with signals_handled(heard.append, lambda: heard.append("hang up")):
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(os.getpid(), number)
    assert heard == [ExitCode.TERMINATED, "hang up", ExitCode.INTERRUPTED]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.fixture
def busy(tmp_path: Path) -> Terminal:
    code = BUSY.format(tests=str(Path(__file__).parent), folder=str(tmp_path), seconds=12)
    terminal = Terminal([sys.executable, "-c", code], 100, 30)
    terminal.read(20, until=b"Monitor")
    terminal.read(0.8)
    terminal.type("q")
    assert terminal.read(10, until=b"Leave?")
    terminal.read(0.3)
    terminal.type("d")
    return terminal


def test_while_a_job_cannot_be_interrupted_the_terminal_is_back_and_it_is_said_what_is_waited_for(
    busy: Terminal,
) -> None:
    try:
        assert b"after the step in progress" in busy.read(5, until=b"at once")
        assert left_behind(busy.sent) == []
        busy.type("\x03")
        assert busy.wait(3) == 130
    finally:
        busy.kill()
