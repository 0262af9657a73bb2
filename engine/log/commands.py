"""commands.jsonl: appended by sessions, read by the worker."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

from speedtui.engine import commands
from speedtui.engine.files import open_plain
from speedtui.engine.log.tail import LineTail
from speedtui.engine.trust import flaw_of_open


def append_command(path: Path, command: commands.AnyCommand) -> None:
    """Appends one command; several sessions may do so at once, a line is written whole.

    Raises:
        OSError: the file cannot be written.
    """
    file = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, commands.encode(command))
    finally:
        os.close(file)


class CommandTail:
    """Commands as they come; a line that is none is kept for the caller to refuse.

    A file that somebody else can have written to, a link or anything but a file is not obeyed, and neither is what was
    in it by the time that it is one's own again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = LineTail(path, opened=open_obeyed)
        self._refused = ""

    def follow(self, path: Path) -> None:
        """The same file, where it is now."""
        self._path = self._lines.path = path

    def read(self) -> list[commands.AnyCommand | ValueError]:
        """The commands since the last call, in order; why none is obeyed, once."""
        try:
            lines = self._read()
        except OSError as error:
            reason = error.strerror or str(error)
            told, self._refused = self._refused == reason, reason
            return [] if told else [ValueError(f"{reason}, so no command is obeyed")]
        result: list[commands.AnyCommand | ValueError] = []
        for line in lines:
            try:
                result.append(commands.decode(line))
            except ValueError as error:
                result.append(error)
        return result

    def _read(self) -> list[bytes]:
        if self._refused:
            self._lines = LineTail(self._path, self._end(), opened=open_obeyed)
            self._refused = ""
        return self._lines.read()

    def _end(self) -> int:
        """Of what was in the file while it was not obeyed; that of a file that is gone is gone with it."""
        try:
            with open_obeyed(self._path) as file:
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return 0


def open_obeyed(path: Path) -> BinaryIO:
    """Opens a file whose lines are followed.

    Raises:
        OSError: it cannot be opened, is a link or no file, or somebody else can have written to it.
    """
    file = os.fdopen(open_plain(path, os.O_RDONLY), "rb")
    if found := flaw_of_open(file.fileno(), path):
        file.close()
        raise OSError(errno.EPERM, found, str(path))
    return file
