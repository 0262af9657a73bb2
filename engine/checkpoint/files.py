"""Folders that are on the disk for certain, and that take another's place at once."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

_CURRENT_FOLDER = -100
"""AT_FDCWD: paths are as they stand."""
_EXCHANGE = 2
"""RENAME_EXCHANGE of renameat2(2)."""


def sync_tree(folder: Path) -> int:
    """Waits until all below is on the disk; returns the bytes of its files.

    Raises:
        OSError: the disk does not take it.
    """
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            file = Path(path, name)
            total += file.stat().st_size
            sync(file)
        sync(Path(path))
    return total


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's names, are on the disk.

    Raises:
        OSError: the disk does not take it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(folder: Path) -> None:
    """Removes a folder and what is in it, as far as that goes; none is as well."""
    shutil.rmtree(folder, ignore_errors=True)


def before_of(target: Path) -> Path:
    """Where a folder is for the moment in which another takes its place."""
    return target.with_name(f".{target.name}-before")


def put_in_place(folder: Path, target: Path) -> None:
    """Renames a folder to `target` and removes the one that was there.

    There is always one of both: they are exchanged at once where the file system can do it. Where it cannot, the old
    one is beside the target for a moment, where `repair` finds it.

    Raises:
        OSError: it cannot be renamed; the old one is in its place.
    """
    if not target.exists():
        folder.rename(target)
    elif _exchange(folder, target):
        remove(folder)
    else:
        _swap(folder, target)


def repair(target: Path) -> bool:
    """Ends what `put_in_place` had begun when the process was killed; returns whether the old one was put back.

    Raises:
        OSError: it cannot be put back.
    """
    before = before_of(target)
    if not before.exists():
        return False
    if target.exists():
        remove(before)
        return False
    before.rename(target)
    return True


def _swap(folder: Path, target: Path) -> None:
    before = before_of(target)
    remove(before)
    target.rename(before)
    try:
        folder.rename(target)
    except OSError:
        before.rename(target)
        raise
    remove(before)


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two folders at once; False where the system or the file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError):  # not Linux, or a C library from before 2018
        return False
    done: int = rename(_CURRENT_FOLDER, os.fsencode(one), _CURRENT_FOLDER, os.fsencode(other), _EXCHANGE)
    return done == 0
