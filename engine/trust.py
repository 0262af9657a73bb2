"""Whose word counts: which runs, configurations and programs are obeyed, and which are only looked at.

On a shared machine anybody can lay a run, a `speedtui.toml` or a recipe where it is found. As git (safe.directory) and
ssh (StrictModes) do it: what is obeyed or executed belongs to whoever runs this program, or to somebody who could
change this program anyway, and nobody else can write it. Everything else is named in full (`--trust PATH`) or refused.
The folders above need no look: who can rename there can only put something in place that belongs to somebody else.

It is looked at where it is used, in the worker, too, so that nothing is put in its place between two looks.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from speedtui.engine.errors import ConfigError, SpeedtuiError, UsageError

VARIABLE = "SPEEDTUI_TRUST"
"""Full paths that are trusted with all below them, between colons; workers inherit it, and a person may set it."""


def mine(path: Path) -> bool:
    """Whether it belongs to whoever runs this: what is chosen without being named does."""
    try:
        return os.stat(path).st_uid == os.geteuid()
    except OSError:
        return False


def flaw(path: Path, *, links: bool = False) -> str:
    """Why what is at a path is not obeyed; empty where it may be, or is not there.

    `links`: the path was named by a person and may be a link: what it leads to counts, as it does with a link that one
    has laid oneself, such as from `checkpoints` to a larger disk.
    """
    try:
        found = os.lstat(path)
        if links or found.st_uid == os.geteuid():
            found = os.stat(path)
    except OSError:  # whoever opens it says what is wrong
        return ""
    return _flaw_of(found) if not _named(path) else ""


def flaw_of_open(file: int, path: Path) -> str:
    """The same of a file that is open, in whose place nothing can be put any more."""
    return "" if _named(path) else _flaw_of(os.fstat(file))


def require(path: Path, what: str = "", error: type[SpeedtuiError] = ConfigError) -> None:
    """Refuses a file that a person or their configuration names, where somebody else can have written it.

    `what`: opens the message, such as the setting that names it.

    Raises:
        SpeedtuiError: of the kind `error`; somebody else's.
    """
    refuse(path, flaw(path, links=True), what, error)


def require_program(path: Path, what: str, error: type[SpeedtuiError]) -> None:
    """The same of a Python file that is to be executed, and of its folder, whose other files it imports.

    Raises:
        SpeedtuiError: of the kind `error`; somebody else's.
    """
    require(path, what, error)
    folder = path.resolve().parent
    found = flaw(folder)
    if found:
        raise error(
            f"{what}: the folder of {path} {found}, and programs import what lies beside them",
            f"Move it to a folder of your own, or add --trust {shlex.quote(str(folder))}",
        )


def refuse(path: Path, found: str, what: str = "", error: type[SpeedtuiError] = ConfigError) -> None:
    """Raises where a flaw was found: one line, and what to type to have it obeyed all the same."""
    if found:
        full = path.absolute()
        opening = f"{what}: " if what else ""
        raise error(
            f"{opening}{full} {found}, so it is not obeyed",
            f"If you trust it, add --trust {shlex.quote(str(full))}, or name a folder above it in {VARIABLE}",
        )


@contextmanager
def trusting(paths: Iterable[str]) -> Iterator[None]:
    """Trusts these paths, besides those in the environment, in this process and in those that it starts.

    Raises:
        UsageError: one is not a full path.
    """
    named = list(paths)
    for path in named:
        if not os.path.isabs(path) or os.pathsep in path:
            raise UsageError(
                f"--trust {path!r} is not a full path", "Name it from the root on, such as /data/runs/RUN."
            )
    before = os.environ.get(VARIABLE)
    if named:
        os.environ[VARIABLE] = os.pathsep.join([*filter(None, [before]), *named])
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(VARIABLE, None)
        else:
            os.environ[VARIABLE] = before


def trusted_arguments() -> list[str]:
    """The flags by which a command that is typed later trusts what this one does."""
    return [part for path in _trusted() for part in ("--trust", path)]


def _trusted() -> list[str]:
    return [text for text in os.environ.get(VARIABLE, "").split(os.pathsep) if os.path.isabs(text)]


def _named(path: Path) -> bool:
    """Whether a person has named it, or a folder that it is in."""
    real = os.path.realpath(path)
    return any(os.path.commonpath([real, os.path.realpath(text)]) == os.path.realpath(text) for text in _trusted())


def _flaw_of(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "is a link"
    if found.st_uid not in _believed(os.geteuid()):
        return f"belongs to {_name_of(found.st_uid)}"
    if found.st_mode & stat.S_IWOTH:
        return "can be written by everybody"
    if found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid, found.st_uid):
        return "can be written by its group"
    return ""


@cache
def _believed(user: int) -> frozenset[int]:
    """Users whose word counts to this one: oneself, root, and whoever this program belongs to, who could have it do
    anything; to root under sudo also the person behind it."""
    sudo = os.environ.get("SUDO_UID", "")
    return frozenset({user, 0, os.stat(__file__).st_uid, *([int(sudo)] if user == 0 and sudo.isdecimal() else [])})


@cache
def _is_private(group: int, user: int) -> bool:
    """Whether nobody but this user is in the group: many systems give each a group of the same name, and a umask of
    002."""
    try:
        entry, account = grp.getgrgid(group), pwd.getpwuid(user)
    except KeyError:
        return False
    return entry.gr_name == account.pw_name and set(entry.gr_mem) <= {account.pw_name} and account.pw_gid == group


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"
