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
from pseudo_terminal import REPLAYING, Terminal, left_behind, stalled

pytestmark = pytest.mark.slow

SHOWN = b"Monitor"
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


def test_an_idle_screen_sends_nothing(tmp_path: Path) -> None:
    screen = Terminal([sys.executable, str(REPLAYING), "idle"], 100, 30, {"TMPDIR": str(tmp_path)})
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
    assert terminal.wait(10) == 143
    assert b"\x1b[?1049h" in terminal.sent and left_behind(terminal.sent) == []


def test_a_hang_up_leaves_the_screen_and_lets_the_run_go_on(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(0.5)
    os.kill(terminal.pid, signal.SIGHUP)
    assert terminal.wait(10) == 0
    assert left_behind(terminal.sent) == []


@pytest.mark.parametrize("keys", ["qd", "q\r", "\x03\x03", "\x03d"], ids=["q-d", "q-enter", "ctrl+c-twice", "ctrl+c-d"])
def test_every_way_out_restores_the_terminal(keys: str, terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(0.8)
    assert left_behind(terminal.sent), "a screen is on"
    terminal.type(keys[0])
    terminal.read(5, until=b"Leave?")
    terminal.read(0.3)
    terminal.type(keys[1])
    assert terminal.wait(10) == 0
    assert left_behind(terminal.sent) == []


def test_a_screen_that_was_written_over_is_drawn_again_in_full(terminal: Terminal) -> None:
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)
    stream.feed(terminal.read(20, until=SHOWN))
    drawn(terminal, stream, 2.5)
    terminal.type("f")  # the picture holds still
    drawn(terminal, stream, 1.0)
    before = list(screen.display)
    stream.feed(b"".join(b"\x1b[%dH%s" % (row, b"garbage " * 12) for row in range(1, 31)))
    assert "garbage garbage" in screen.display[12]
    terminal.type("\x0c")
    drawn(terminal, stream, 1.5)
    assert [now for now, was in zip(screen.display, before, strict=True) if now != was] == []


def test_a_frozen_screen_sends_nothing(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(1.0)
    terminal.type("f")
    terminal.read(1.0)
    assert terminal.measure(IDLE_SECONDS).bytes == 0
    terminal.type("f")
    assert terminal.measure(2.0).bytes > 0


def test_the_screen_goes_on_when_a_terminal_that_took_nothing_takes_something_again(terminal: Terminal) -> None:
    screen = pyte.Screen(100, 30)
    stream = pyte.ByteStream(screen)
    stream.feed(terminal.read(20, until=SHOWN))
    drawn(terminal, stream, 1.0)
    with stalled(terminal):
        time.sleep(6.0)
    drawn(terminal, stream, 4.0)
    rows = "\n".join(screen.display)
    assert "ON TRACK" in rows and "Events" in rows and "quit" in rows
    terminal.type("q")
    assert terminal.read(10, until=b"Leave?")
    terminal.type("\x03")
    assert terminal.wait(10) == 0
    assert left_behind(terminal.sent) == []


def test_a_termination_ends_a_screen_whose_terminal_takes_nothing(terminal: Terminal) -> None:
    terminal.read(20, until=SHOWN)
    terminal.read(1.0)
    with stalled(terminal):
        time.sleep(2.0)
        os.kill(terminal.pid, signal.SIGTERM)
        status, end = None, time.monotonic() + 15
        while status is None and time.monotonic() < end:
            time.sleep(0.1)
            pid, found = os.waitpid(terminal.pid, os.WNOHANG)
            status = os.waitstatus_to_exitcode(found) if pid else None
    assert status == 143


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
        "threading.Timer(3.0, lambda: (os.write(1, b'NOISE-ONE'), os.write(2, b'NOISE-TWO'))).start();"
        "replaying.main()"
    )
    screen = Terminal([sys.executable, "-c", code], 100, 30, {"TMPDIR": str(tmp_path)})
    try:
        shown = screen.read(20, until=SHOWN) + screen.read(4.0)
    finally:
        screen.kill()
    assert b"NOISE" not in shown
    (log,) = tmp_path.glob("speedtui-replay-*/screen.log")
    assert "NOISE-ONE" in log.read_text() and "NOISE-TWO" in log.read_text()


def drawn(terminal: Terminal, stream: pyte.ByteStream, seconds: float) -> None:
    stream.feed(terminal.read(seconds))


@pytest.mark.parametrize(("columns", "rows"), [(140, 40), (80, 24), (60, 20)])
def test_the_screen_fills_the_terminal_it_is_in_and_follows_its_size(columns: int, rows: int, tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, str(REPLAYING), "training"], columns, rows, {"TMPDIR": str(tmp_path)})
    try:
        screen = pyte.Screen(columns, rows)
        stream = pyte.ByteStream(screen)
        stream.feed(terminal.read(20, until=SHOWN))
        drawn(terminal, stream, 2.0)
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
