"""Where plain text leaves a process: stdout and stderr are written here and nowhere else.

Everything is cleaned on the way, so that what a log, a file or a library holds never reaches a terminal as a command.
stdout is data, stderr is for people; of a worker both are the run's worker.log.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from speedtui.engine.clean import clean_lines, cleaned, escape_json
from speedtui.engine.files import appending

WIDTH = 100
"""Columns of a text that is printed, where nothing says that there are fewer: lines longer than that read badly."""
NARROWEST = 60
"""Below it a terminal may break lines itself: figures beside their words are worth more."""


def text_width() -> int:
    """Columns for a text on stdout: those of its terminal where that has fewer than `WIDTH`."""
    try:
        return max(NARROWEST, min(WIDTH, os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH))
    except (AttributeError, OSError, ValueError):  # closed, or no terminal
        return WIDTH


def say(text: str) -> None:
    """Lines on stdout.

    Raises:
        OSError: nobody reads any more, or the disk is full.
    """
    _write(sys.stdout, text)


def warn(text: str) -> None:
    """Lines on stderr.

    Raises:
        OSError: as with `say`.
    """
    _write(sys.stderr, text)


def warn_traceback(error: BaseException) -> None:
    """An exception with where it came from, on stderr, or where `tracebacks_in` has them written."""
    import traceback  # most commands end without one

    text = "".join(traceback.format_exception(error))
    if _tracebacks is None:
        warn(text)
        return
    with suppress(OSError):  # a full disk; what failed is told by whoever caught it
        _write(_tracebacks, text)
        _tracebacks.flush()


_tracebacks: TextIO | None = None


@contextmanager
def tracebacks_in(path: Path) -> Iterator[None]:
    """Has tracebacks appended to a file, from whatever thread: of a job in this process to its run's worker.log, as
    those of a worker are."""
    global _tracebacks
    before = _tracebacks
    with appending(path) as log, os.fdopen(log, "a", encoding="utf-8", errors="replace", closefd=False) as file:
        _tracebacks = file
        try:
            yield
        finally:
            _tracebacks = before


def traceback_file() -> TextIO | None:
    """That of `tracebacks_in`, for the stderr of a process of the job; None for this one's own."""
    return _tracebacks


def say_json(value: Any) -> None:
    """A value as one line of JSON on stdout.

    Raises:
        OSError: as with `say`.
    """
    say_line(as_json(value))


def say_line(document: bytes) -> None:
    """JSON that is there already, on stdout: it says the same, its control characters as escapes.

    Raises:
        OSError: as with `say`.
    """
    stream = sys.stdout
    if stream is None:
        return
    stream.flush()
    stream.buffer.write(escape_json(document.rstrip(b"\n")) + b"\n")  # UTF-8 whatever the locale is
    stream.buffer.flush()


def as_json(value: Any) -> bytes:
    """A value as JSON; a name that is no text, of bytes that are not UTF-8, as `clean` writes it."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(cleaned(msgspec.to_builtins(value)))


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # it was closed before the program started
        return
    shown = clean_lines(text)
    stream.write(shown if shown.endswith("\n") else shown + "\n")
    stream.flush()
