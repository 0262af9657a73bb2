"""Reads an append-only file of lines while others write it."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from speedtui.engine import events
from speedtui.engine.regular_file import open_regular
from speedtui.engine.state.passed_over import PassedOver
from speedtui.engine.trust import flaw

CHUNK_BYTES = 1 << 20
"""Read at a time, so that a long log is folded in steps of some ten milliseconds."""
MOST_LINE_BYTES = 8 << 20
"""A study of ten thousand candidates begins with a line of some four mebibytes; what is longer is no line of ours, and
is not held in memory."""


class LineTail:
    """Complete lines as they come; a torn last line waits until its rest is there.

    A file that does not exist yet has no lines yet. What has no newline for more than `MOST_LINE_BYTES`, such as a hole
    that a crash has left, is counted and passed over.
    """

    def __init__(self, path: Path, offset: int = 0, *, opened: Callable[[Path], BinaryIO] = open_regular) -> None:
        """`offset`: bytes of the file before the first line wanted; `opened`: how it is opened, for each look."""
        self.path = path
        """Where it is read from at the next look."""
        self._offset = offset
        self._opened = opened
        self._begun: list[bytes] = []
        self._begun_bytes = 0
        self.passed_over = PassedOver()
        """Lines that were too long."""

    @property
    def bytes_read(self) -> int:
        """Of the file, so far."""
        return self._offset

    @property
    def offset(self) -> int:
        """Where the next line begins, in bytes from the file's start."""
        return self._offset - self._begun_bytes

    @property
    def unended(self) -> PassedOver:
        """The line that has not ended, which is one to pass over where nobody will end it."""
        blank = self._begun_bytes <= MOST_LINE_BYTES and not b"".join(self._begun).strip()
        return PassedOver() if blank else PassedOver(lines=1, bytes=self._begun_bytes)

    def read(self) -> list[bytes]:
        """The complete lines of the next mebibyte, without their newlines; none of that may be the end.

        Raises:
            OSError: it cannot be read, or is no regular file.
        """
        try:
            with self._opened(self.path) as file:
                self._skip_hole(file.fileno())
                file.seek(self._offset)
                chunk = file.read(CHUNK_BYTES)
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        first, *lines = chunk.split(b"\n")
        if not lines:
            self._go_on(first)
            return []
        self._go_on(first)
        lines[:0] = self._ended()
        self._go_on(lines.pop())
        return [line for line in lines if line.strip()]

    def pieces(self) -> Iterator[list[bytes]]:
        """What `read` gives, until there is no more in the file, whatever is in its middle."""
        before = -1
        while before != self._offset:
            before = self._offset
            yield self.read()

    def _go_on(self, piece: bytes) -> None:
        """Takes in more of the line that has begun."""
        self._begun_bytes += len(piece)
        if self._begun_bytes > MOST_LINE_BYTES:
            self._begun.clear()
        elif piece:
            self._begun.append(piece)

    def _ended(self) -> list[bytes]:
        """The line that has ended, where it is not too long."""
        size, line = self._begun_bytes, b"".join(self._begun)
        self._begun.clear()
        self._begun_bytes = 0
        if size <= MOST_LINE_BYTES:
            return [line]
        self.passed_over += PassedOver(lines=1, bytes=size)
        return []

    def _skip_hole(self, file: int) -> None:
        """A file of 200 GB may hold nothing but a hole, which reads as zeros: no newline is among them."""
        size = os.fstat(file).st_size
        if size - self._offset <= MOST_LINE_BYTES:
            return
        try:
            data = os.lseek(file, self._offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # the file system knows of no holes
                return
            data = size  # it goes up to the end
        if data - self._offset > MOST_LINE_BYTES:
            self._begun_bytes += data - self._offset
            self._begun.clear()
            self._offset = data


def _without_advice(event: events.AnyEvent) -> events.AnyEvent:
    """What somebody else's log says that one should type is not passed on: it would be copied or typed."""
    match event:
        case events.RunFinished():
            return msgspec.structs.replace(event, next="")
        case events.Notice():
            return msgspec.structs.replace(event, hint="")
    return event


class EventTail:
    """Events as they come; lines that are none, or of a newer version, are counted and passed over.

    Of somebody else's log the events are without what they say is to be done.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """`offset`: bytes of the file before the first line wanted."""
        self._path = path
        self._lines = LineTail(path, offset)
        self._passed_over = PassedOver()

    @property
    def bytes_read(self) -> int:
        """Of the file, so far."""
        return self._lines.bytes_read

    @property
    def offset(self) -> int:
        """Where the next line begins, in bytes from the file's start."""
        return self._lines.offset

    @property
    def passed_over(self) -> PassedOver:
        """Of the lines that have ended."""
        return self._passed_over + self._lines.passed_over

    @property
    def passed_over_at_end(self) -> PassedOver:
        """The same of a log that nobody writes any more: half a line at its end counts."""
        return self.passed_over + self._lines.unended

    def read(self) -> list[tuple[bytes, events.AnyEvent]]:
        """Line and event of each readable line of the next mebibyte; none of that may be the end.

        Raises:
            OSError: the log cannot be read, or is no regular file.
        """
        pairs, torn, size, newer = [], 0, 0, 0
        lines = self._lines.read()
        foreign = bool(flaw(self._path, links=True))
        for line in lines:
            try:
                event = events.decode(line)
            except ValueError:
                torn += 1
                size += len(line)
                continue
            if event is None:
                newer += 1
                continue
            pairs.append((line, _without_advice(event) if foreign else event))
        if torn or newer:
            self._passed_over += PassedOver(lines=torn, bytes=size, newer=newer)
        return pairs

    def pieces(self) -> Iterator[list[tuple[bytes, events.AnyEvent]]]:
        """What `read` gives, until there is no more in the log, whatever is in its middle."""
        before = -1
        while before != self.bytes_read:
            before = self.bytes_read
            yield self.read()


def read_events(path: Path) -> Iterator[events.AnyEvent]:
    """Every readable event that is in the file now."""
    for pairs in EventTail(path).pieces():
        for _, event in pairs:
            yield event


def events_in(piece: bytes) -> list[events.AnyEvent]:
    """Those of the lines that have ended in a piece of a log; what is torn or no event is passed over."""
    found = []
    for line in piece.split(b"\n")[:-1]:
        with suppress(ValueError):
            event = events.decode(line)
            if event is not None:
                found.append(event)
    return found
