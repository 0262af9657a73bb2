"""Runs a program in a real pseudo-terminal, and measures what it sends and what it costs.

python tests/tui/pseudo_terminal.py [training|idle|study] [COLUMNS] [ROWS] [SECONDS]
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pyte

REPLAYING = Path(__file__).parent / "replaying.py"
SETTLE_SECONDS = 4.0
"""After the first paint, before the traffic is counted."""
PATIENCE_SECONDS = 120.0
"""For what a busy machine does at some time; a hung program fails its test, and nothing is measured by it."""


MODES = {
    "1049": "the alternate screen", "1000": "mouse buttons", "1002": "mouse dragging", "1003": "mouse moves",
    "1006": "mouse reports", "1015": "mouse reports", "1004": "focus reports", "2004": "bracketed paste",
    "2048": "size reports",
}  # fmt: skip
"""Switched on by a screen, by number; off in a shell."""


def left_behind(sent: bytes) -> list[str]:
    """What a program switched on in its terminal and did not switch off again; empty where all is as it was."""
    modes: dict[str, bool] = {}
    for numbers, letter in re.findall(rb"\x1b\[\?([\d;]+)([hl])", sent):
        modes.update(dict.fromkeys(numbers.decode().split(";"), letter == b"h"))
    left = [words for mode, words in MODES.items() if modes.get(mode)]
    left += ["a hidden cursor"] if modes.get("25") is False else []
    left += ["no line wrap"] if modes.get("7") is False else []
    left += ["the title"] if sent.count(b"\x1b[22;0t") != sent.count(b"\x1b[23;0t") else []
    left += ["the keyboard protocol"] if len(re.findall(rb"\x1b\[>\d+u", sent)) > sent.count(b"\x1b[<u") else []
    return left


class Traffic(NamedTuple):
    """Of a stretch of time in a terminal."""

    seconds: float
    bytes: int
    cpu_seconds: float


class Terminal:
    """A program on a pty of a size."""

    def __init__(self, command: list[str], columns: int, rows: int, env: dict[str, str] | None = None) -> None:
        self.started = time.monotonic()
        self.sent = b""
        """All that came so far."""
        self.closed = False
        """Nothing has it open any more: the program is over."""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})})
            for name in [name for name, value in os.environ.items() if not value]:
                del os.environ[name]  # an empty one asks for it to be unset
            for name in ("COLUMNS", "LINES"):  # set behind Python's back by readline, they hide the terminal's size
                os.unsetenv(name)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execv(command[0], command)

    def read(self, seconds: float, until: bytes | None = None) -> bytes:
        """What comes within so many seconds, or until something is seen."""
        end, data = time.monotonic() + seconds, b""
        while (left := end - time.monotonic()) > 0 and (until is None or until not in data):
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data += os.read(self.fd, 1 << 16)
                except OSError:
                    self.closed = True
                    break
        self.sent += data
        return data

    def type(self, text: str) -> None:
        """Keys."""
        os.write(self.fd, text.encode())

    def cpu_seconds(self) -> float:
        """Used by the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def busy(self, seconds: float = 0.3) -> bool:
        """Whether it uses the processor meanwhile."""
        before = self.cpu_seconds()
        time.sleep(seconds)
        return self.cpu_seconds() - before > seconds / 10

    def measure(self, seconds: float) -> Traffic:
        """Counts for a while."""
        before, start = self.cpu_seconds(), time.monotonic()
        count = len(self.read(seconds))
        return Traffic(time.monotonic() - start, count, self.cpu_seconds() - before)

    def wait(self, seconds: float) -> int | None:
        """Exit status, or None while it still runs; what it writes is read meanwhile."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        return None

    def kill(self) -> None:
        """Ends it, if it still runs."""
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        finally:
            os.close(self.fd)


class Seen:
    """A terminal with what it shows: a test waits for that, and never for a time in which it would be drawn."""

    def __init__(self, terminal: Terminal, columns: int, rows: int) -> None:
        self.terminal = terminal
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    @property
    def rows(self) -> list[str]:
        """Of the whole screen, from the top."""
        return list(self._screen.display)

    @property
    def text(self) -> str:
        """The same."""
        return "\n".join(self._screen.display)

    def until(self, holds: Callable[[str], object]) -> str:
        """Waits until the text is as wanted."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds(self.text):
            assert not self.terminal.closed and time.monotonic() < end, self.text
            self.feed(self.terminal.read(0.05))
        return self.text

    def shows(self, *words: str) -> str:
        """Waits until all of these stand on the screen."""
        return self.until(lambda text: all(word in text for word in words))

    def quiet(self, seconds: float) -> None:
        """Waits until nothing has come for so long; a minute of the clock that passes just then is waited out, too."""
        end = time.monotonic() + PATIENCE_SECONDS
        while came := self.terminal.read(seconds):
            assert time.monotonic() < end, self.text
            self.feed(came)

    def goes_on(self) -> str:
        """Waits until the step that it names is another one: all that was to be drawn before is drawn."""
        before = step_of(self.until(step_of))
        return self.until(lambda text: step_of(text) not in ("", before))

    def feed(self, data: bytes) -> None:
        """Takes in what was read from the terminal elsewhere, or never came from the program."""
        self._stream.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        """As a person who drags the window does; the program is told by the kernel."""
        self.feed(self.terminal.read(0.05))
        self._screen.resize(rows, columns)
        fcntl.ioctl(self.terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Keys."""
        self.terminal.type(text)

    def leave(self) -> int | None:
        """By the keys that do; the exit status. A run goes on."""
        self.type("q")
        self.shows("Leave?")
        self.type("d")
        return self.terminal.wait(PATIENCE_SECONDS)


def unread(device: int) -> int:
    """Bytes that were typed and that no program has taken."""
    return int.from_bytes(fcntl.ioctl(device, termios.FIONREAD, bytes(4)), sys.byteorder)


def step_of(text: str) -> str:
    """The training's, as the Monitor names it; empty where it names none."""
    found = re.search(r"step (\d+)/", text)
    return found[1] if found else ""


@contextmanager
def shown(
    what: str, folder: Path, columns: int = 100, rows: int = 30, env: dict[str, str] | None = None
) -> Iterator[Seen]:
    """What `replaying.py` plays, once its first screen stands there in full; its run is made in `folder`."""
    terminal = Terminal([sys.executable, str(REPLAYING), what], columns, rows, {"TMPDIR": str(folder), **(env or {})})
    seen = Seen(terminal, columns, rows)
    try:
        seen.shows("Monitor", "now ", "quit")
        yield seen
    finally:
        terminal.kill()


LARGE_OUTPUT = "\x0c" * 40
"""Keys that have the whole screen drawn again and again: more than is kept for a terminal that takes nothing."""


@contextmanager
def stalled(terminal: Terminal) -> Iterator[None]:
    """Output is suspended as by ctrl+s until more has been asked for than is kept: a write blocks at once, not when the
    kernel's buffer is full."""
    device = os.open(os.readlink(f"/proc/{terminal.pid}/fd/0"), os.O_RDWR | os.O_NOCTTY)
    termios.tcflow(device, termios.TCOOFF)
    in_flight = len(terminal.read(0.2))
    terminal.type(LARGE_OUTPUT)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while unread(device) or terminal.busy():
            assert time.monotonic() < end, "the program does not come to rest"
        yield
        came = len(terminal.read(0.1))
        assert came == 0, f"the terminal took {came} bytes after {in_flight} in flight: it was not stalled"
    finally:
        termios.tcflow(device, termios.TCOON)
        os.close(device)


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 1 else "training"
    columns, rows, seconds = (int(text) for text in (sys.argv[2:] + ["140", "40", "20"][len(sys.argv) - 2 :])[:3])
    terminal = Terminal([sys.executable, str(REPLAYING), what], columns, rows)
    terminal.read(10, until=b"Monitor")
    first = time.monotonic() - terminal.started
    terminal.read(SETTLE_SECONDS)
    traffic = terminal.measure(seconds)
    print(f"{what} {columns}x{rows}: first paint {first:.2f} s, {traffic.cpu_seconds / traffic.seconds:.2%} of a core, "
          f"{traffic.bytes / 1024 / traffic.seconds:.2f} KiB/s")  # fmt: skip
    terminal.kill()


if __name__ == "__main__":
    main()
