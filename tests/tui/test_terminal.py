"""The screen in a real pseudo-terminal: what starts, what is sent, what a signal does."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pyte
import pytest
from pseudo_terminal import REPLAYING, Terminal

SHOWN = b"Monitor"
LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"
IDLE_SECONDS = 3.0
"""Long enough for several ticks and for a look at the terminal."""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    env = {"SPEEDTUI_TEST_REPORT": str(tmp_path / "modules"), "TMPDIR": str(tmp_path)}
    screen = Terminal([sys.executable, str(REPLAYING), "training"], 100, 30, env)
    yield screen
    screen.kill()


def test_the_first_paint_needs_no_torch_and_no_chart_library(terminal: Terminal, tmp_path: Path) -> None:
    assert SHOWN in terminal.read(20, until=SHOWN)
    report = tmp_path / "modules"
    deadline = time.monotonic() + 20
    while not report.exists() and time.monotonic() < deadline:
        terminal.read(0.2)
    modules = report.read_text().splitlines()
    assert "textual" in modules
    assert not {"torch", "transformers", "numpy"} & set(modules)


def test_keys_work_in_a_real_terminal(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.type("2")
    assert b"it has no study" in terminal.read(10, until=b"it has no study")


def test_an_idle_screen_sends_nothing() -> None:
    screen = Terminal([sys.executable, str(REPLAYING), "idle"], 100, 30)
    try:
        screen.read(20, until=SHOWN)
        screen.read(2.0)
        assert screen.measure(IDLE_SECONDS).bytes < 100  # the clock may step on by a minute
    finally:
        screen.kill()


def test_a_terminated_screen_restores_the_terminal_and_says_so(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(0.5)
    os.kill(terminal.pid, signal.SIGTERM)
    assert LEFT_ALTERNATE_SCREEN in terminal.read(10, until=LEFT_ALTERNATE_SCREEN)
    assert terminal.wait(10) == 143


def test_a_hang_up_leaves_the_screen_and_lets_the_run_go_on(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(0.5)
    os.kill(terminal.pid, signal.SIGHUP)
    assert terminal.wait(10) == 0


def test_a_terminal_that_is_gone_ends_the_screen(tmp_path: Path) -> None:
    screen = Terminal([sys.executable, str(REPLAYING), "training"], 100, 30, {"TMPDIR": str(tmp_path)})
    screen.read(20, until=SHOWN)
    screen.read(0.5)
    os.close(screen.fd)
    end = time.monotonic() + 15
    pid = 0
    while not pid and time.monotonic() < end:
        pid, _ = os.waitpid(screen.pid, os.WNOHANG)
        time.sleep(0.1)
    if not pid:
        os.kill(screen.pid, signal.SIGKILL)
        os.waitpid(screen.pid, 0)
    assert pid


def test_what_is_written_to_the_descriptors_goes_to_the_log_and_not_to_the_screen(tmp_path: Path) -> None:
    code = (
        "import os, sys, threading; sys.argv=['replaying.py', 'training'];"
        f"sys.path.insert(0, {str(REPLAYING.parent)!r}); import replaying;"
        "threading.Timer(1.0, lambda: (os.write(1, b'NOISE-ONE'), os.write(2, b'NOISE-TWO'))).start();"
        "replaying.main()"
    )
    screen = Terminal([sys.executable, "-c", code], 100, 30, {"TMPDIR": str(tmp_path)})
    try:
        shown = screen.read(20, until=SHOWN) + screen.read(2.5)
    finally:
        screen.kill()
    assert b"NOISE" not in shown
    (log,) = tmp_path.glob("speedtui-replay-*/screen.log")
    assert "NOISE-ONE" in log.read_text() and "NOISE-TWO" in log.read_text()


def drawn(terminal: Terminal, stream: pyte.ByteStream, seconds: float) -> None:
    stream.feed(terminal.read(seconds))


@pytest.mark.parametrize(("columns", "rows"), [(140, 40), (80, 24), (60, 20)])
def test_the_screen_fills_the_terminal_it_is_in_and_follows_its_size(columns: int, rows: int) -> None:
    terminal = Terminal([sys.executable, str(REPLAYING), "training"], columns, rows)
    try:
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)
        stream.feed(terminal.read(20, until=SHOWN))
        drawn(terminal, stream, 3.0)
        assert max(len(line.rstrip()) for line in screen.display) >= columns - 2
        assert screen.display[rows - 1].strip(), "the footer is on the last row"
        fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        os.kill(terminal.pid, signal.SIGWINCH)
        screen.resize(30, 100)
        drawn(terminal, stream, 3.0)
        assert screen.display[29].strip()
        assert 98 <= max(len(line.rstrip()) for line in screen.display) <= 100
    finally:
        terminal.kill()
