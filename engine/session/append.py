"""One event into a run's log, from outside its worker."""

from __future__ import annotations

import os
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.files import open_plain


def append_event(path: Path, event: e.AnyEvent) -> None:
    """Appends a line in one write, so that it stands whole beside those of a worker that writes at the same time.

    After half a line, as a killed worker or a full disk leaves it, it begins a new one.

    Raises:
        OSError: it cannot be written.
    """
    file = open_plain(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        size = os.fstat(file).st_size
        torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
        os.write(file, b"\n" * torn + e.encode(event))
    finally:
        os.close(file)
