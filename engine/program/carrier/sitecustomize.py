"""Every Python below `speedtui run` imports this at its start; it waits for a training and never fails the program.

The standard library alone, since it is found by any Python whatever is installed there. What would have been this
module without us is run afterwards, in its place.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))


def execute(spec: importlib.machinery.ModuleSpec | None, name: str) -> ModuleType | None:
    """Makes a module of it, if there is one."""
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def wait_for_trainings() -> None:
    """With what lies beside this folder."""
    path, name = os.path.join(os.path.dirname(HERE), "inside.py"), "_speedtui_inside"
    try:
        inside = execute(importlib.util.spec_from_file_location(name, path), name)
        if inside is not None:
            inside.wait_for_trainings()
    except Exception:
        sys.stderr.write("speedtui: a Python of this program is not metered: speedtui needs a newer one\n")


def make_way() -> None:
    """For the module of this name that there is without us."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != HERE]
    execute(importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path), "sitecustomize")


if os.environ.get("SPEEDTUI_RUN"):
    wait_for_trainings()
make_way()
