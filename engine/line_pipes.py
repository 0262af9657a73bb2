"""JSON lines to and from a child process, for whoever has other things to do while it waits."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable
from typing import Any

import msgspec

TICK_SECONDS = 0.1
"""Between two chances for the caller to do something else, or to end the waiting by raising."""
PIPE_BYTES = 1 << 16
"""Moved at a time: what a pipe holds."""

Look = Callable[[], None]


class LinePipes:
    """The child's stdin and stdout, a message a line. They stay the process's own: it closes them."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None  # both were asked for
        self._requests, self._replies = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._requests, False)  # a busy child does not read
        self._read = b""

    def send(self, message: Any, look: Look) -> None:
        """Writes a message; `look` is called now and then.

        Raises:
            OSError: nobody reads any more.
        """
        left = memoryview(msgspec.json.encode(message) + b"\n")
        while left:
            look()
            if select.select([], [self._requests], [], TICK_SECONDS)[1]:
                try:
                    left = left[os.write(self._requests, left[:PIPE_BYTES]) :]
                except BlockingIOError:
                    continue

    def receive(self, look: Look) -> bytes:
        """The next line; `look` is called now and then.

        Raises:
            EOFError: there will be none.
        """
        while b"\n" not in self._read:
            look()
            if select.select([self._replies], [], [], TICK_SECONDS)[0]:
                more = os.read(self._replies, PIPE_BYTES)
                if not more:
                    raise EOFError
                self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line
