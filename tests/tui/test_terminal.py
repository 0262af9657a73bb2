"""The screen in a real pseudo-terminal: what starts, what is sent, what a signal does."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pseudo_terminal import PATIENCE_SECONDS, REPLAYING, Seen, Terminal, left_behind, shown, stalled

pytestmark = pytest.mark.slow

IDLE_SECONDS = 2.0
"""Long enough for several ticks and for a look at the terminal."""


@pytest.fixture
def seen(tmp_path: Path) -> Iterator[Seen]:
    with shown("training", tmp_path) as found:
        yield found


def test_a_screen_that_was_shown_and_left_needed_no_torch_and_no_numpy(tmp_path: Path) -> None:
    report = tmp_path / "modules"
    with shown("training", tmp_path, env={"SPEEDTUI_TEST_REPORT": str(report)}) as seen:
        assert seen.leave() == 0
    modules = report.read_text().splitlines()
    assert "textual" in modules
    assert not {"torch", "transformers", "numpy"} & set(modules)


def test_keys_work_in_a_real_terminal(seen: Seen) -> None:
    seen.type("2")
    seen.shows("it has no study")


def test_an_idle_screen_sends_nothing(tmp_path: Path) -> None:
    with shown("idle", tmp_path) as seen:
        seen.quiet(IDLE_SECONDS)


def test_a_terminated_screen_restores_the_terminal_and_says_so(seen: Seen) -> None:
    os.kill(seen.terminal.pid, signal.SIGTERM)
    assert seen.terminal.wait(PATIENCE_SECONDS) == 143
    assert b"\x1b[?1049h" in seen.terminal.sent and left_behind(seen.terminal.sent) == []


def test_a_hang_up_leaves_the_screen_and_lets_the_run_go_on(seen: Seen) -> None:
    os.kill(seen.terminal.pid, signal.SIGHUP)
    assert seen.terminal.wait(PATIENCE_SECONDS) == 0
    assert left_behind(seen.terminal.sent) == []


@pytest.mark.parametrize("keys", ["qd", "q\r", "\x03\x03", "\x03d"], ids=["q-d", "q-enter", "ctrl+c-twice", "ctrl+c-d"])
def test_every_way_out_restores_the_terminal(keys: str, seen: Seen) -> None:
    assert left_behind(seen.terminal.sent), "a screen is on"
    seen.type(keys[0])
    seen.shows("Leave?")
    seen.type(keys[1])
    assert seen.terminal.wait(PATIENCE_SECONDS) == 0
    assert left_behind(seen.terminal.sent) == []


def test_a_screen_that_was_written_over_is_drawn_again_in_full(seen: Seen) -> None:
    seen.type("f")  # the picture holds still
    seen.shows("frozen")
    seen.quiet(0.5)
    before = seen.rows
    seen.feed(b"".join(b"\x1b[%dH%s" % (row, b"garbage " * 12) for row in range(1, 31)))
    assert "garbage garbage" in seen.rows[12]
    seen.type("\x0c")
    seen.until(lambda _: seen.rows == before)


def test_notices_that_are_gone_leave_nothing_on_the_terminal(tmp_path: Path) -> None:
    warnings = [f"keys.toml, line {number}: run.stop = q is the key of leave already" for number in (3, 4, 5)]
    look = {"SPEEDTUI_TEST_LOOK": json.dumps({"warnings": warnings})}
    with shown("training", tmp_path, 80, 24, look) as seen:
        seen.shows("▌", "keys.toml, line 5")
        seen.until(lambda text: not any(part in text for part in ("▌", "keys.toml", "run.stop", "already")))


def test_a_frozen_screen_sends_nothing(seen: Seen) -> None:
    seen.type("f")
    seen.shows("frozen")
    seen.quiet(IDLE_SECONDS)
    seen.type("f")
    seen.goes_on()
    assert "frozen" not in seen.text


def test_the_screen_goes_on_when_a_terminal_that_took_nothing_takes_something_again(seen: Seen) -> None:
    with stalled(seen.terminal):
        pass
    seen.goes_on()
    seen.shows("ON TRACK", "Events", "quit")
    seen.type("q")
    seen.shows("Leave?")
    seen.type("\x03")
    assert seen.terminal.wait(PATIENCE_SECONDS) == 0
    assert left_behind(seen.terminal.sent) == []


def test_a_termination_ends_a_screen_whose_terminal_takes_nothing(seen: Seen) -> None:
    with stalled(seen.terminal):
        os.kill(seen.terminal.pid, signal.SIGTERM)
        assert ended(seen.terminal.pid) == 143


def test_a_terminal_that_is_gone_ends_the_screen(tmp_path: Path) -> None:
    terminal = Terminal([sys.executable, str(REPLAYING), "training"], 100, 30, {"TMPDIR": str(tmp_path)})
    Seen(terminal, 100, 30).shows("ON TRACK")
    os.close(terminal.fd)
    try:
        assert ended(terminal.pid) is not None
    except BaseException:
        os.kill(terminal.pid, signal.SIGKILL)
        os.waitpid(terminal.pid, 0)
        raise


def ended(pid: int) -> int | None:
    """The exit status of a program whose terminal is not read; None where it does not end."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        over, status = os.waitpid(pid, os.WNOHANG)
        if over:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def test_what_is_written_to_the_descriptors_goes_to_the_log_and_not_to_the_screen(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; sys.argv=['replaying.py', 'training'];"
        f"sys.path.insert(0, {str(REPLAYING.parent)!r}); import replaying;"
        "signal.signal(signal.SIGUSR1, lambda *_: (os.write(1, b'NOISE-ONE'), os.write(2, b'NOISE-TWO')));"
        "replaying.main()"
    )
    terminal = Terminal([sys.executable, "-c", code], 100, 30, {"TMPDIR": str(tmp_path)})
    seen = Seen(terminal, 100, 30)
    try:
        seen.shows("ON TRACK")
        (log,) = tmp_path.glob("speedtui-replay-*/screen.log")
        os.kill(terminal.pid, signal.SIGUSR1)
        seen.until(lambda _: "NOISE-TWO" in log.read_text())
        seen.goes_on()
    finally:
        terminal.kill()
    assert b"NOISE" not in terminal.sent and "NOISE-ONE" in log.read_text()


@pytest.mark.parametrize(("columns", "rows"), [(140, 40), (80, 24), (60, 20)])
def test_the_screen_fills_the_terminal_it_is_in_and_follows_its_size(columns: int, rows: int, tmp_path: Path) -> None:
    with shown("training", tmp_path, columns, rows) as seen:
        assert fills(seen, columns) and seen.rows[rows - 1].strip(), "the footer is on the last row"
        seen.resize(100, 30)
        seen.until(lambda _: fills(seen, 100) and seen.rows[29].strip())


def fills(seen: Seen, columns: int) -> bool:
    """Whether something stands at the right edge."""
    return columns - 2 <= max(len(line.rstrip()) for line in seen.rows) <= columns
