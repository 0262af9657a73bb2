"""Inside the program: waits until it imports what trains, and only then brings speedtui in.

Loaded by its path from `carrier/sitecustomize.py`: the standard library alone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType

RUN = "SPEEDTUI_RUN"
"""The run's folder."""
PACKAGES = "SPEEDTUI_PACKAGES"
"""Folders in which speedtui and what it needs are found, for a Python that does not have them."""
CARRIED = ("speedtui", "msgspec", "tomli_w", "psutil", "pynvml")
"""What of these folders is taken; torch, transformers and numpy are the program's own."""
UNMETERED = "unmetered"
"""A file in the run's folder: why a program that trained was not metered."""

FOLLOWERS = {"transformers.trainer": "speedtui.engine.program.trainers"}
"""By the module that trains: whose `follow` is called with it, once it has been imported."""

Then = Callable[[ModuleType], None]


class AfterImport(MetaPathFinder):
    """Has something done to modules once they have been imported; it finds none itself."""

    def __init__(self, then: dict[str, Then]) -> None:
        self._then = then

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own, whose execution is followed by what is to be done."""
        then = self._then.pop(name, None)
        spec = find_spec(name) if then is not None else None
        if then is None or spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def followed(module: ModuleType) -> None:
            execute(module)
            unharmed(then, module)

        spec.loader.exec_module = followed  # type: ignore[method-assign]
        return spec


class Carried(MetaPathFinder):
    """Finds speedtui and what it needs where the program's Python does not have them; asked after all others."""

    def __init__(self, folders: Sequence[str]) -> None:
        self._folders = folders

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for all other names."""
        return PathFinder.find_spec(name, self._folders) if name in CARRIED else None


def wait_for_trainings() -> None:
    """To be called once, before the program begins."""
    sys.meta_path.insert(0, AfterImport(dict.fromkeys(FOLLOWERS, _follow)))


def _follow(module: ModuleType) -> None:
    sys.meta_path.append(Carried(os.environ.get(PACKAGES, "").split(os.pathsep)))
    import_module(FOLLOWERS[module.__name__]).follow(module)


def unharmed(then: Then, module: ModuleType) -> None:
    """Whatever goes wrong is told and passed over."""
    try:
        then(module)
    except Exception as error:
        tell_unmetered(f"{type(error).__name__}: {error}")


def tell_unmetered(reason: str) -> None:
    """Leaves the reason for whoever started the program; the first one counts. Where it cannot be left it is lost: a
    full disk, or an environment that the program has emptied, is nothing to end it for."""
    with suppress(Exception):
        file = os.open(os.path.join(os.environ[RUN], UNMETERED), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", errors="replace") as out:
            out.write(reason)
