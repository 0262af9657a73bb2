"""A run on another machine: looked at over SSH, left alone when the connection goes, found again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pseudo_terminal import Terminal, left_behind
from remote import SPEEDTUI, Host, OpenTerminal, Training, write_endless

from speedtui.engine.events import RunStarted
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs

pytestmark = pytest.mark.slow

SHOWN = b"Monitor"


FOLDERS = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
"""The tests' own; a login over SSH does not inherit them."""


def processes(words: str) -> list[int]:
    """Those that have these words in their command line."""
    found = subprocess.run(["pgrep", "-f", words], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]


def lookers(training: Training) -> list[int]:
    """Processes that look at the run."""
    return processes(f"attach --runs {training.runs}")


def wait_until(true: Callable[[], bool], terminal: Terminal | None = None, seconds: float = 60.0) -> bool:
    """Whether it becomes so; what a terminal is sent meanwhile is read."""
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        if terminal is not None:
            terminal.read(0.2)
        else:
            time.sleep(0.2)
    return true()


def look_again(host: Host, training: Training, open_terminal: OpenTerminal) -> None:
    again = open_terminal(host.login(training.attach))
    assert SHOWN in again.read(30, until=SHOWN)
    assert b"training" in again.read(3.0)
    detach(again)
    assert again.wait(15) == 0
    assert left_behind(again.sent) == []
    assert training.goes_on()


def detach(terminal: Terminal) -> None:
    terminal.type("q")
    assert terminal.read(10, until=b"Leave?")
    terminal.read(0.3)
    terminal.type("d")


def test_detaching_restores_the_terminal_and_lets_the_run_go_on(
    host: Host, training: Training, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal(host.login(training.attach))
    assert SHOWN in terminal.read(30, until=SHOWN)
    terminal.read(1.0)
    assert "the alternate screen" in left_behind(terminal.sent)
    detach(terminal)
    assert terminal.wait(15) == 0
    assert left_behind(terminal.sent) == []
    assert f"attach {training.folder.id}".encode() in terminal.sent, "how to look at it again"
    assert training.goes_on()


def test_a_connection_that_drops_ends_the_screen_and_not_the_run(
    host: Host, training: Training, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal(host.login(training.attach))
    assert SHOWN in terminal.read(30, until=SHOWN)
    terminal.read(1.0)
    assert lookers(training)
    os.kill(terminal.pid, signal.SIGKILL)
    assert wait_until(lambda: not lookers(training)), "nothing is left that looks at it"
    assert training.goes_on()
    look_again(host, training, open_terminal)


def test_a_run_that_was_started_over_a_connection_outlives_it(
    host: Host, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    config, runs = tmp_path / "speedtui.toml", tmp_path / "runs"
    write_endless(config)
    folders = " ".join(f"{name}={os.environ[name]}" for name in FOLDERS)
    terminal = open_terminal(host.login(f"env {folders} {SPEEDTUI} train --config {config} --runs {runs}"))
    worker = 0
    try:
        assert SHOWN in terminal.read(30, until=SHOWN)
        assert wait_until(lambda: bool(list_runs(runs)) and Training(runs, list_runs(runs)[0]).steps() > 0, terminal)
        training = Training(runs, list_runs(runs)[0])
        worker = next(event.pid for event in read_events(training.folder.events) if isinstance(event, RunStarted))
        os.kill(terminal.pid, signal.SIGKILL)
        assert training.goes_on()
        assert wait_until(lambda: not processes(f"train --config {config}"))
        assert training.goes_on()
        look_again(host, training, open_terminal)
    finally:
        if worker:
            os.kill(worker, signal.SIGKILL)
