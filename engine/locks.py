"""Locks of files: let go by the operating system when the process dies, and seen from outside without being taken."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speedtui.engine.files import open_plain

TRIES = 50
"""Whoever looks whether a lock is held takes it for some microseconds; whoever wants to hold it tries so many times: on
a busy machine, where a look may be held up in its midst, they take longer by themselves."""
TRY_SECONDS = 0.005
"""Between two tries."""
_held: set[int] = set()
"""Descriptors of the locks that this process holds."""


@contextmanager
def hold_lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Holds an advisory lock; the operating system lets it go when the process dies, whatever children it leaves.

    Raises:
        BlockingIOError: somebody else holds it.
        OSError: the file cannot be opened.
    """
    file = open_plain(path, os.O_RDWR | os.O_CREAT)
    _held.add(file)
    try:
        _lock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        if file in _held:  # else this is a forked child
            _held.discard(file)
            os.close(file)


def _lock(file: int, kind: int) -> None:
    for left in reversed(range(TRIES)):
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if not left:
                raise
        time.sleep(TRY_SECONDS)


def _let_go_in_child() -> None:
    """A lock lasts as long as any process has its descriptor: a killed worker's loader processes would keep its run."""
    for file in _held:
        os.close(file)
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)


def is_locked(path: Path, *, shared: bool = False) -> bool | None:
    """Whether anybody holds it; `shared`: as those do who share it. None where that cannot be told: it may not be read,
    or its file system has no locks, or does not answer.

    Looked at with the other kind of lock, so that two who look are not in each other's way. NFS takes an exclusive one
    only of who may write.
    """
    try:
        file = open_plain(path, os.O_RDWR if shared else os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):  # nobody has ever held it
        return False
    except OSError:
        return None
    try:
        fcntl.flock(file, (fcntl.LOCK_EX if shared else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        return False
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(file)
