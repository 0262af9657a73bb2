"""The three standard streams: open from the first moment, in the terminal's encoding, and never a reason to fail."""

from __future__ import annotations

import codecs
import errno
import io
import locale
import os
import re
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from speedtui.engine.errors import SpeedtuiError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

STDIN, STDOUT, STDERR = 0, 1, 2
NOBODY_READS = (errno.EPIPE, errno.EIO)
"""A reader that has had enough, and a terminal that was closed: both are somebody's wish, not a fault."""
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


class LossyOutput(io.FileIO):
    """A descriptor that is written to. What it does not take is dropped from then on, and the reason is kept."""

    def __init__(self, descriptor: int, failure: OSError | None) -> None:
        """`failure`: why nothing can be written from the start."""
        super().__init__(descriptor, "wb", closefd=False)
        self.failure = failure

    def write(self, data: ReadableBuffer, /) -> int:
        """All of it; nothing is buffered, as a signal's handler may write in the middle of another write."""
        left = memoryview(data).cast("B")
        size = left.nbytes
        while left and self.failure is None:
            try:
                written = super().write(left)
            except OSError as error:
                self.failure = error
            else:
                if written is None:
                    self._wait()  # another program, such as ssh, has set the shared pipe or terminal to never wait
                left = left[written or 0 :]
        return size

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        poll.poll()


class Printed(io.TextIOWrapper):
    """Text on its way out: what the encoding lacks gets the stand-ins that the screen sends to such a terminal."""

    def __init__(self, sink: LossyOutput, encoding: str, *, by_lines: bool) -> None:
        self.sink = sink
        self._sent_as = encoding
        # click takes a stream in ASCII for a mistake and sends UTF-8 on one of its own; in ASCII both are the same
        named = "utf-8" if _is_ascii(encoding) else encoding
        super().__init__(sink, encoding=named, errors="replace", line_buffering=by_lines)

    def write(self, text: str, /) -> int:
        """Never fails."""
        super().write(representable(text, self._sent_as))
        return len(text)


def representable(text: str, encoding: str) -> str:
    """The text with stand-ins for what the encoding lacks."""
    if text.isascii():
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        from speedtui.tui.drawing.ascii import to_ascii

        return _NOT_ASCII.sub(lambda found: "".join(c if _has(c, encoding) else to_ascii(c) for c in found[0]), text)
    return text


@contextmanager
def standard_streams() -> Iterator[None]:
    """Has `sys.stdin`, `sys.stdout` and `sys.stderr` be there and never raise; afterwards they are as they were."""
    closed = _open_missing()
    encoding = _encoding()
    before = stdin, stdout, stderr = sys.stdin, sys.stdout, sys.stderr
    if stdin is None:
        sys.stdin = open(STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  # of /dev/null, as long as we live
    if _is_real(stdout):
        sys.stdout = Printed(LossyOutput(STDOUT, _closed(STDOUT, closed)), encoding, by_lines=os.isatty(STDOUT))
    if _is_real(stderr):
        sys.stderr = Printed(LossyOutput(STDERR, _closed(STDERR, closed)), encoding, by_lines=True)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdin, sys.stdout, sys.stderr = before


def stdout_failure() -> OSError | None:
    """Why stdout takes nothing any more, which is in its `strerror`; None as long as it does."""
    stream = sys.stdout
    failure = stream.sink.failure if isinstance(stream, Printed) else None
    return None if failure is None else OSError(failure.errno, f"stdout: {failure.strerror}")


def require_printed() -> None:
    """For a command that is there to print: what it printed is out, or nobody wanted it.

    Raises:
        SpeedtuiError: stdout did not take it.
    """
    sys.stdout.flush()
    failure = stdout_failure()
    if failure is not None and failure.errno not in NOBODY_READS:
        raise SpeedtuiError(str(failure.strerror), "Nothing, or only a part, could be printed; see where stdout goes.")


def _open_missing() -> set[int]:
    """Opens the standard descriptors that were closed on /dev/null: else the next file that is opened becomes one of
    them, and whatever is printed goes into it."""
    closed = set()
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
        closed.add(descriptor)
    os.close(descriptor)
    return closed


def _closed(descriptor: int, closed: set[int]) -> OSError | None:
    return OSError(errno.EBADF, "it is closed") if descriptor in closed else None


def _is_real(stream: object) -> bool:
    """Whether it writes to a descriptor; a test's or a notebook's own object is left alone."""
    if stream is None:
        return True
    try:
        return isinstance(stream.fileno(), int)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return False


def _encoding() -> str:
    """What the environment says of Python's output where it says so, else the locale's: the terminal's own.

    Python itself prints UTF-8 in the C locale, which promises ASCII and no more (PEP 540).
    """
    asked = os.environ.get("PYTHONIOENCODING") or os.environ.get("PYTHONUTF8") == "1" or "utf8" in sys._xoptions
    said = getattr(sys.stdout or sys.stderr, "encoding", None) if asked else None
    return said or locale.getencoding()


def _is_ascii(encoding: str) -> bool:
    return codecs.lookup(encoding).name == "ascii"


def _has(character: str, encoding: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
