"""Signals: whose they are, and what becomes of a job in this process when its screen is left."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pseudo_terminal import PATIENCE_SECONDS, Seen, Terminal, left_behind

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


def forked() -> int:
    """A child like a data loader's worker: it inherits the handlers, and has said that it is there."""
    there, says = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(says, b"!")
        time.sleep(PATIENCE_SECONDS)
        os._exit(0)
    os.close(says)
    assert os.read(there, 1) == b"!"
    os.close(there)
    return pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_a_forked_worker_ends_that_worker_and_nothing_else(number: signal.Signals) -> None:
    heard: list[object] = []
    with signals_handled(heard.append, lambda: heard.append("hang up")):
        pid = forked()
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
def busy(tmp_path: Path) -> Iterator[Seen]:
    code = BUSY.format(tests=str(Path(__file__).parent), folder=str(tmp_path), seconds=2 * PATIENCE_SECONDS)
    terminal = Terminal([sys.executable, "-c", code], 100, 30)
    yield Seen(terminal, 100, 30)
    terminal.kill()


def test_while_a_job_cannot_be_interrupted_the_terminal_is_back_and_it_is_said_what_is_waited_for(busy: Seen) -> None:
    busy.shows("ON TRACK", "quit")
    busy.type("q")
    busy.shows("Leave?")
    busy.type("d")
    busy.shows("after the step in progress", "at once")
    assert left_behind(busy.terminal.sent) == []
    busy.type("\x03")
    assert busy.terminal.wait(PATIENCE_SECONDS) == 130
