"""A run on another machine: looked at over SSH, left alone when the connection goes, found again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from pseudo_terminal import PATIENCE_SECONDS, Terminal, left_behind
from remote import SPEEDTUI, Host, OpenTerminal, Training, write_endless

from speedtui.engine.events import RunStarted
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs

pytestmark = pytest.mark.slow

SHOWN = "Monitor"


FOLDERS = ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")
"""The tests' own; a login over SSH does not inherit them."""


def processes(words: str) -> list[int]:
    """Those that have these words in their command line."""
    found = subprocess.run(["pgrep", "-f", words], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split() if int(pid) != os.getpid()]


def lookers(training: Training) -> list[int]:
    """Processes that look at the run."""
    return processes(f"attach --runs {training.runs}")


def wait_until(true: Callable[[], bool], terminal: Terminal | None = None) -> bool:
    """Whether it becomes so; what a terminal is sent meanwhile is read."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not true() and time.monotonic() < end:
        if terminal is not None:
            terminal.read(0.2)
        else:
            time.sleep(0.2)
    return true()


def look_again(host: Host, training: Training, open_terminal: OpenTerminal) -> None:
    again = open_terminal(host.login(training.attach))
    again.shows(SHOWN, "training")
    again.goes_on()
    assert again.leave() == 0
    assert left_behind(again.terminal.sent) == []
    assert training.goes_on()


def test_detaching_restores_the_terminal_and_lets_the_run_go_on(
    host: Host, training: Training, open_terminal: OpenTerminal
) -> None:
    seen = open_terminal(host.login(training.attach))
    seen.shows(SHOWN)
    seen.goes_on()
    assert "the alternate screen" in left_behind(seen.terminal.sent)
    assert seen.leave() == 0
    assert left_behind(seen.terminal.sent) == []
    assert f"attach {training.folder.id}".encode() in seen.terminal.sent, "how to look at it again"
    assert training.goes_on()


def test_a_connection_that_drops_ends_the_screen_and_not_the_run(
    host: Host, training: Training, open_terminal: OpenTerminal
) -> None:
    seen = open_terminal(host.login(training.attach))
    seen.shows(SHOWN)
    seen.goes_on()
    assert lookers(training)
    os.kill(seen.terminal.pid, signal.SIGKILL)
    assert wait_until(lambda: not lookers(training)), "nothing is left that looks at it"
    assert training.goes_on()
    look_again(host, training, open_terminal)


def test_a_run_that_was_started_over_a_connection_outlives_it(
    host: Host, tmp_path: Path, open_terminal: OpenTerminal
) -> None:
    config, runs = tmp_path / "speedtui.toml", tmp_path / "runs"
    write_endless(config)
    folders = " ".join(f"{name}={os.environ[name]}" for name in FOLDERS)
    seen = open_terminal(host.login(f"env {folders} {SPEEDTUI} train --config {config} --runs {runs}"))
    worker = 0
    try:
        seen.shows(SHOWN)
        assert wait_until(
            lambda: bool(list_runs(runs)) and Training(runs, list_runs(runs)[0]).steps() > 0, seen.terminal
        )
        training = Training(runs, list_runs(runs)[0])
        worker = next(event.pid for event in read_events(training.folder.events) if isinstance(event, RunStarted))
        os.kill(seen.terminal.pid, signal.SIGKILL)
        assert training.goes_on()
        assert wait_until(lambda: not processes(f"train --config {config}"))
        assert training.goes_on()
        look_again(host, training, open_terminal)
    finally:
        if worker:
            os.kill(worker, signal.SIGKILL)
