"""The folder of a run that begins: made, proved to be private and writable, removed again where nothing begins."""

from __future__ import annotations

import errno
import os
import shutil
from datetime import datetime
from pathlib import Path

from speedtui.engine.errors import RunFolderError
from speedtui.engine.events import Job
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.locks import hold_lock
from speedtui.engine.runs import RunFolder
from speedtui.engine.trust import flaw

TRIES = 50
"""Names that a new run is given one after the other: of 65,536 a second, so that the first is nearly always free."""


def create_run(runs: Path, job: Job) -> RunFolder:
    """A new folder, named by time and job, readable by its owner alone.

    Raises:
        RunFolderError: it cannot be made or written, or there is no room.
    """
    made = None
    try:
        make_folder(runs)
        made = _new_folder(runs.resolve(), job)
        _require_private(made.path)
        room = made.path / ".room"
        write_whole(room, bytes(1 << 20))
        room.unlink()
        _require_locks(made)
    except OSError as error:
        if made is not None:
            discard(made)
        raise RunFolderError(
            f"{runs}: the run's folder cannot be written: {error.strerror or error}",
            "Make room or name another folder with --runs.",
        ) from None
    return made


def _require_private(folder: Path) -> None:
    """Raises OSError where the file system knows neither owners nor rights, or makes others of them."""
    found = flaw(folder)
    if found:
        raise OSError(errno.EPERM, f"a folder that is made there {found}; trust it with --trust, or take another")


def _require_locks(folder: RunFolder) -> None:
    """Raises OSError where the file system has none, so that nobody could tell whether the run is alive."""
    try:
        with hold_lock(folder.worker_lock):
            pass
    except OSError as error:
        raise OSError(error.errno, f"its file system locks no files: {error.strerror or error}") from None


def _new_folder(runs: Path, job: Job) -> RunFolder:
    """One that was not there: a hundred jobs of an array begin in one second."""
    for left in reversed(range(TRIES)):
        folder = RunFolder(runs / f"{datetime.now():%Y%m%d-%H%M%S}-{job}-{os.urandom(2).hex()}")
        try:
            folder.path.mkdir(mode=0o700)
        except FileExistsError:
            if not left:
                raise
        else:
            return folder
    raise AssertionError("unreachable")


def discard(folder: RunFolder) -> None:
    """Removes the folder of a run that was never started, by whom it was made."""
    shutil.rmtree(folder.path, ignore_errors=True)
