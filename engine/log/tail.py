"""Reads an append-only file of lines while others write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from speedtui.engine import events

CHUNK_BYTES = 1 << 20
"""Read at a time, so that a long log is folded in steps of some ten milliseconds."""


class LineTail:
    """Complete lines as they come; a torn last line waits until its rest is there.

    A file that does not exist yet has no lines yet.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        """`offset`: bytes of the file before the first line wanted."""
        self._path = path
        self._offset = offset
        self._rest = b""

    @property
    def bytes_read(self) -> int:
        """Of the file, so far."""
        return self._offset

    @property
    def offset(self) -> int:
        """Where the next line begins, in bytes from the file's start."""
        return self._offset - len(self._rest)

    def read(self) -> list[bytes]:
        """The complete lines since the last call, up to about a mebibyte; without their newlines."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read(CHUNK_BYTES)
        except FileNotFoundError:
            return []
        self._offset += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [line for line in lines if line.strip()]


class EventTail:
    """Events as they come; lines that are torn or of an unknown type are counted and passed over."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """`offset`: bytes of the file before the first line wanted."""
        self._lines = LineTail(path, offset)
        self.unknown = 0
        """Lines of a type that this version does not know."""
        self.torn = 0
        """Lines that are no events, such as half of one before a crash."""

    @property
    def bytes_read(self) -> int:
        """Of the file, so far."""
        return self._lines.bytes_read

    @property
    def offset(self) -> int:
        """Where the next line begins, in bytes from the file's start."""
        return self._lines.offset

    def read(self) -> list[tuple[bytes, events.AnyEvent]]:
        """Line and event of each readable line since the last call."""
        pairs = []
        for line in self._lines.read():
            try:
                event = events.decode(line)
            except ValueError:
                self.torn += 1
                continue
            if event is None:
                self.unknown += 1
                continue
            pairs.append((line, event))
        return pairs


def read_events(path: Path) -> Iterator[events.AnyEvent]:
    """Every readable event that is in the file now."""
    tail = EventTail(path)
    while pairs := tail.read():
        for _, event in pairs:
            yield event
