"""commands.jsonl: appended by sessions, read by the worker."""

from __future__ import annotations

import os
from pathlib import Path

from speedtui.engine import commands
from speedtui.engine.files import open_plain
from speedtui.engine.log.tail import LineTail


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
    """Commands as they come; a line that is none is kept for the caller to refuse."""

    def __init__(self, path: Path) -> None:
        self._lines = LineTail(path)

    def read(self) -> list[commands.AnyCommand | ValueError]:
        """The commands since the last call, in order."""
        result: list[commands.AnyCommand | ValueError] = []
        for line in self._lines.read():
            try:
                result.append(commands.decode(line))
            except ValueError as error:
                result.append(error)
        return result
