"""The person's own folders, also where there is none: a container with a bare uid, a service account, a read-only home.

Every library that keeps something below `~` fails there in its own way, so a process without a home is given one.
"""

from __future__ import annotations

import os
import pwd
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speedtui.engine.errors import UsageError

NOWHERE = "/nonexistent"
"""The home that Debian gives to accounts that have none; nothing is found in it and nothing can be made there."""
NAMES = ("LOGNAME", "USER", "LNAME", "USERNAME")
"""Where Python looks for the person's name before it asks the system, which fails for a bare uid (torch does ask)."""


def user_folder(variable: str, usual: str) -> Path:
    """A base folder of the XDG specification: what the variable says, else `usual` below the home folder.

    Raises:
        RuntimeError: there is no home folder.
    """
    said = os.environ.get(variable, "")
    return Path(said) if os.path.isabs(said) else Path.home() / usual


def cache_base() -> Path:
    """Where caches go: `$XDG_CACHE_HOME`, else `~/.cache`, else, where that cannot be written, a private folder."""
    base = user_folder("XDG_CACHE_HOME", ".cache")
    if _asked_for_cache() or _can_be_written(base):
        return base
    try:
        return private_folder() / ".cache"
    except UsageError:
        return base  # whoever writes there says what is wrong, or does without


def private_folder() -> Path:
    """`speedtui-<uid>` in the folder for temporary files, which nobody else can look into.

    Raises:
        UsageError: somebody else has made it, it is open to others, or there is no place for it.
    """
    hint = "Set HOME to a folder of your own."
    try:
        path = Path(tempfile.gettempdir(), _private_name())
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise UsageError(f"no folder for temporary files can be used: {error.strerror}", hint) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UsageError(f"{path} belongs to somebody else or is open to others, so it is not used", hint)
    return path


@contextmanager
def own_home() -> Iterator[None]:
    """Gives this process, and what it starts, a home folder and a name where it has none."""
    before = {name: os.environ.get(name) for name in ("HOME", NAMES[0])}
    given = _usable_home()
    if given is None:
        try:
            os.environ["HOME"] = str(private_folder())
        except UsageError:
            os.environ["HOME"] = NOWHERE
    elif os.environ.get("HOME") != given:
        os.environ["HOME"] = given
    if not any(os.environ.get(name) for name in NAMES) and _account() is None:
        os.environ[NAMES[0]] = f"uid{os.geteuid()}"
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def said_of_home() -> str:
    """Where things are kept instead of where a person would look; empty where all is as usual."""
    home = os.environ.get("HOME", "")
    if home == NOWHERE:
        return "there is no home folder and no safe place for another: nothing is kept between runs; set HOME"
    if Path(home).name == _private_name():
        return f"there is no home folder: caches, history and profiles are kept in {home}; set HOME for another"
    if not _asked_for_cache() and (kept := cache_base()) != (usual := Path.home() / ".cache"):
        return f"{usual} cannot be written: caches are kept in {kept}; set XDG_CACHE_HOME for another"
    return ""


def _usable_home() -> str | None:
    """An existing folder, as the environment or the system's accounts name it. `/` is a home for nobody but root."""
    account = _account()
    for folder in (os.environ.get("HOME", ""), account.pw_dir if account is not None else ""):
        if os.path.isabs(folder) and os.path.isdir(folder) and (folder != "/" or os.access(folder, os.W_OK)):
            return folder
    return None


def _private_name() -> str:
    return f"speedtui-{os.geteuid()}"


def _account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None


def _asked_for_cache() -> bool:
    return os.path.isabs(os.environ.get("XDG_CACHE_HOME", ""))


def _can_be_written(folder: Path) -> bool:
    """Whether it is, or can be made, a folder to write into."""
    there = next((place for place in (folder, *folder.parents) if os.path.exists(place)), Path("/"))  # never raises
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)
