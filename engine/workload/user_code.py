"""Python files of the user's own: imported anew, and what goes wrong in them told by their line."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
from pathlib import Path
from types import ModuleType


def import_file(path: Path, prefix: str) -> ModuleType:
    """The module in a file, under a name with the prefix; what its code raises is passed on.

    Raises:
        ImportError: it is no Python file.
    """
    name = f"{prefix}_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # another process, or pickle, must find its classes
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: the file's neighbour must not hide a library
    spec.loader.exec_module(module)
    return module


def own_functions(module: ModuleType) -> list[str]:
    """Names of the functions that a person can have meant."""
    return [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]


def line_of(error: BaseException, path: Path) -> int | None:
    """The file's line that raised, or that called what raised; None where it had no part in it."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)
