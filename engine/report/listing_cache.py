"""What was read of runs that are over, kept in a cache of one's own, so that listing many of them opens no log.

Nothing is written into the runs, which may be somebody else's.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.log.run_summary import Stamp, stamp_of
from speedtui.engine.regular_file import read_regular
from speedtui.engine.runs import RunFolder
from speedtui.engine.workload.cache import key_of

FORMAT = 1
"""Of what is kept; with another one it is read anew."""
SETTLED_SECONDS = 10.0
"""A file system tells two changes apart that are some milliseconds from one another, a network's some seconds: what has
changed so lately could change again without another stamp."""
T = TypeVar("T")


class ListingCache(Generic[T]):
    """Entries by run, each with the stamp of the log that it was read from: a log that has changed has none."""

    def __init__(self, runs: Path, folder: Path | None, kind: type[T]) -> None:
        """`folder`: to keep them in, None to keep nothing; one file for each folder of runs."""
        self._path = folder / f"{key_of(str(runs.resolve()))}.json" if folder is not None else None
        self._type = tuple[int, dict[str, tuple[Stamp, kind]]]  # type: ignore[valid-type]
        self._before: dict[str, tuple[Stamp, T]] = {}
        self._now: dict[str, tuple[Stamp, T]] = {}
        if self._path is not None:
            with suppress(OSError, ValueError, RecursionError, msgspec.DecodeError):
                version, entries = msgspec.json.decode(read_regular(self._path), type=self._type)
                self._before = entries if version == FORMAT else {}

    def of(self, folder: RunFolder) -> T | None:
        """The one of a run, where its log is as it was."""
        kept = self._before.get(str(folder.path)) if self._path is not None else None
        if kept is None or kept[0] != stamp_of(folder.events):
            return None
        self._now[str(folder.path)] = kept
        return kept[1]

    def keep(self, folder: RunFolder, entry: T) -> None:
        """Takes in what was read of a run just now, unless its log has changed just now, too."""
        stamp = stamp_of(folder.events)
        if stamp and abs(time.time() - stamp[-1] / 1e9) > SETTLED_SECONDS:
            self._now[str(folder.path)] = stamp, entry

    def save(self) -> None:
        """Writes them where they are others than before; a disk that takes nothing only costs the time of reading."""
        if self._path is None or self._now == self._before:
            return
        with suppress(OSError):
            make_folder(self._path.parent)
            write_whole(self._path, msgspec.json.encode((FORMAT, self._now)))
