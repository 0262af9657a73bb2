"""Opens what a run's folder holds only where it is a file: a pipe in its place would be waited for without an end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)  # fmt: skip
MOST_BYTES = 64 << 20
"""Of a file that is read whole; an order of thousands of candidates takes a few mebibytes."""


def open_regular(path: Path) -> BinaryIO:
    """Opens a file for reading, at once.

    Raises:
        OSError: it is missing, may not be read or is no regular file; `strerror` says which.
    """
    require_regular(path, os.stat(path))  # before it is opened, which does things to a device
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    try:
        require_regular(path, os.fstat(file))
    except OSError:
        os.close(file)
        raise
    return os.fdopen(file, "rb")


def read_regular(path: Path) -> bytes:
    """A whole file of up to `MOST_BYTES`.

    Raises:
        OSError: as `open_regular`, or it is larger.
    """
    with open_regular(path) as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"is larger than the {MOST_BYTES >> 20} MiB that it may be", str(path))
    return data


def end_of_regular(path: Path, size: int) -> bytes:
    """The last `size` bytes.

    Raises:
        OSError: as `open_regular`.
    """
    with open_regular(path) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - size))
        return file.read(size)


def require_regular(path: Path, found: os.stat_result) -> None:
    """Raises OSError in words where what was found is no regular file."""
    if stat.S_ISREG(found.st_mode):
        return
    kind = next((words for is_kind, words in KINDS if is_kind(found.st_mode)), "no file")
    raise OSError(errno.EINVAL, f"is {kind} where a file is expected", str(path))
