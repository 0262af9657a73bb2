"""Everything that this program writes: its owner's alone, whole or not at all, and never through another's link.

Folders are made 0700 and files 0600, whatever the umask: runs and caches hold the data that is trained on, and the
machine is shared. Libraries make files too (torch, safetensors, sqlite, trackers), with modes of their own less the
umask; so `keep_private` is called where a process of ours begins.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from speedtui.engine.regular_file import require_regular

PRIVATE = 0o600
PROGRAM = 0o700
"""Of a script that its owner runs."""


UMASK = "SPEEDTUI_UMASK"
"""In the environment of our processes: the umask, in octal, that a person's own programs have."""


def keep_private() -> None:
    """Has this process, and those that it starts, make no file that others can read or write."""
    before = os.umask(0o077)
    os.environ.setdefault(UMASK, f"{before:o}")


def users_umask() -> int:
    """That of a person's own programs; -1, as `subprocess` has it, where nobody changed it."""
    found = os.environ.get(UMASK, "")
    return int(found, 8) if found and set(found) <= set("01234567") else -1


@contextmanager
def as_without_us() -> Iterator[None]:
    """What is written meanwhile is not ours, such as a model from the hub in a cache that a group shares."""
    wanted = users_umask()
    if wanted < 0:
        yield
        return
    before = os.umask(wanted)
    try:
        yield
    finally:
        os.umask(before)


def make_folder(folder: Path) -> None:
    """Makes a folder and those above it that are not there, for their owner alone; one that is there is left as it is.

    Raises:
        OSError: it cannot be made, or is no folder.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def write_whole(path: Path, content: str | bytes, *, mode: int = PRIVATE, durable: bool = False) -> None:
    """Writes a file: a reader sees the old one or the new one. A link in its place is replaced, not followed.

    `content`: text as UTF-8; a file's name that is none, as the system has it. `durable`: on the disk before it has its
    name.

    Raises:
        OSError: no room or no permission; nothing is left behind.
    """
    with writing(path, mode=mode, durable=durable) as file:
        file.write(content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content)


@contextmanager
def writing(path: Path, *, mode: int = PRIVATE, durable: bool = False) -> Iterator[BinaryIO]:
    """A new file beside `path` that takes its place at the end, unless something is raised; then nothing is left of it.

    Raises:
        OSError: no room or no permission.
    """
    with create_beside(path, mode) as file:
        aside = Path(file.name)
        try:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
            with _named(path):
                os.replace(aside, path)
        except BaseException:
            with suppress(OSError):
                aside.unlink()
            raise


def write_new(path: Path, content: str) -> None:
    """Writes a file where there is none.

    Raises:
        FileExistsError: there is one, or a link.
        OSError: no room or no permission; nothing is left behind.
    """
    with create(path) as file:
        try:
            file.write(content.encode("utf-8", "surrogateescape"))
            file.flush()
        except OSError:
            path.unlink(missing_ok=True)
            raise


def create_beside(path: Path, mode: int = PRIVATE) -> BinaryIO:
    """A new file in the same folder, with a name that nobody can have laid a link under; who asks for it removes it.

    Raises:
        OSError: no room or no permission.
    """
    with _named(path):
        return create(path.with_name(f".{path.name}.{os.urandom(8).hex()}"), mode)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """What is raised is told of the file that was asked for, not of the one beside it."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def create(path: Path, mode: int = PRIVATE) -> BinaryIO:
    """A new file, where there is none and no link.

    Raises:
        OSError: there is one, no room or no permission.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return open(path, "w+b", opener=lambda name, _: os.open(name, flags, mode))


def open_plain(path: Path, flags: int) -> int:
    """A descriptor of a regular file that is in this very place: made 0600 where `flags` has O_CREAT, waited for never.

    Raises:
        OSError: it is not there or cannot be opened, is a link (ELOOP), or no regular file (EINVAL).
    """
    try:
        file = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY, PRIVATE)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a link where a file is expected", str(path)) from None
        raise
    try:
        require_regular(path, os.fstat(file))
    except OSError:
        os.close(file)
        raise
    return file


@contextmanager
def appending(path: Path) -> Iterator[int]:
    """A descriptor that writes at the file's end, of one that is made where there is none.

    Raises:
        OSError: it cannot be opened.
    """
    file = open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        yield file
    finally:
        os.close(file)
