"""Whether a log is still where it was begun: its folder can be moved or removed while the run goes on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

DELETED = " (deleted)"
"""What Linux puts after the name of an open file that has none any more."""


class LogLocation:
    """Looks again and again for a file that was there."""

    def __init__(self, path: Path, known: os.stat_result | None = None) -> None:
        """`known`: which file it is; None takes the one that is found first."""
        self._path = path
        self._known = known
        self.here = True
        """Whether it was there when it was looked for last."""

    def changed(self) -> bool:
        """Whether it is gone since the last look, or there again."""
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            here = self._known is None
        except OSError:  # a file system that does not answer says nothing
            return False
        else:
            self._known = self._known or found
            here = os.path.samestat(found, self._known)
        before, self.here = self.here, here
        return here != before


def folder_of_open(file: int) -> Path | None:
    """Where the folder of an open file is now; None where it was removed, or cannot be told."""
    with suppress(OSError):
        name = os.readlink(f"/proc/self/fd/{file}")
        return None if name.endswith(DELETED) else Path(name).parent
    return None
