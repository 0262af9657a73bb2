"""Whether a log is still where it was begun: its folder can be moved or removed while the run goes on."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from pathlib import Path

DELETED = " (deleted)"
"""What Linux puts after the name of an open file that has none any more."""


class LogLocation:
    """Looks again and again for a file that was there."""

    def __init__(self, path: Path, known: os.stat_result | None = None) -> None:
        """`known`: which file it is; None takes the one that is found first."""
        self.path = path
        """Where it was found last."""
        self._known = known
        self._folder: int | None = None
        with suppress(OSError):  # of somebody else
            self._folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            weakref.finalize(self, os.close, self._folder)
        self.here = True
        """Whether it was there when it was looked for last."""

    def changed(self) -> bool:
        """Whether it is gone since the last look, or there again."""
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            here = self._known is None
        except OSError:  # a file system that does not answer says nothing
            return False
        else:
            self._known = self._known or found
            here = os.path.samestat(found, self._known)
        before, self.here = self.here, here
        return here != before

    @property
    def folder(self) -> Path:
        """Where its folder is now; where it was, if it was removed or that cannot be told."""
        return self._moved_to() or self.path.parent

    def follow(self) -> bool:
        """Looks for it from now on where its folder was moved to; whether it was."""
        moved = self._moved_to()
        if moved is None or not os.path.lexists(moved / self.path.name):
            return False
        self.path, self.here = moved / self.path.name, True
        return True

    def _moved_to(self) -> Path | None:
        if self._folder is None:
            return None
        with suppress(OSError):
            if os.path.samestat(os.stat(self.path.parent), os.fstat(self._folder)):
                return None
        return path_of_open(self._folder)


def path_of_open(file: int) -> Path | None:
    """Where an open file or folder is now; None where it was removed, or cannot be told."""
    with suppress(OSError):
        name = os.readlink(f"/proc/self/fd/{file}")
        return None if name.endswith(DELETED) else Path(name)
    return None
