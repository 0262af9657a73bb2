"""Files that can be made again: tokens and trained tokenizers, below the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from speedtui.engine.files import make_folder, writing
from speedtui.engine.home import cache_base

KEPT_SECONDS = 30 * 86400
"""What nobody has used for a month is removed when something new is stored."""


def cache_folder(name: str) -> Path:
    """`$XDG_CACHE_HOME/speedtui/<name>`, by default below `~/.cache`, or where that cannot be written in its stead."""
    return cache_base() / "speedtui" / name


def key_of(parts: Any) -> str:
    """A name for what is made from these plain values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def file_identity(path: Path) -> list[list[Any]]:
    """(name, size, mtime_ns) of a file, or of every file in a folder: differs when the content was written anew."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return [[str(file.resolve()), (stat := file.stat()).st_size, stat.st_mtime_ns] for file in files]


@contextlib.contextmanager
def replacing(target: Path) -> Iterator[BinaryIO]:
    """A new file beside `target` that takes its place at the end, whole or not at all.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    make_folder(target.parent)
    with writing(target) as file:
        yield file


def touch(path: Path) -> None:
    """Marks a file as used now."""
    with contextlib.suppress(OSError):
        os.utime(path)


def prune(folder: Path) -> None:
    """Removes the files that have not been used for a month."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.is_file() and file.stat().st_mtime < time.time() - KEPT_SECONDS:
                file.unlink(missing_ok=True)
