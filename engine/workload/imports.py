"""Importing torch and what is built on it, with nothing unasked and no progress bars; importing a user's own files."""

from __future__ import annotations

import gc
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage is collected while torch is imported within it, and none is ever looked for in what came.

    Three quarters of a million objects come to stay. Python would go through those that are there again and again, a
    sixth of the time that the imports take, and through all of them at each full collection, of which a trainer asks
    for several a run. Where torch is there already it looks as ever: then other things are among what is collected.
    """
    with without_bitsandbytes(), without_datasets():
        if "torch" in sys.modules or not gc.isenabled():
            yield
            return
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
    gc.freeze()


@contextmanager
def without_bitsandbytes() -> Iterator[None]:
    """peft finds no bitsandbytes within it, unless it was imported already; a model in 4 or 8 bits brings it itself.

    Where it is installed, peft imports it with itself and with the first adapter, for a look at what kind of layer it
    has. With it comes torch's compiler: a fifth of all that a worker imports, for which most models have no use.
    peft.helpers alone goes on without; its figures of quantized layers are asked for by nobody here.
    """
    if "bitsandbytes" in sys.modules:
        yield
        return
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # as the import system has it: there is none
    try:
        yield
    finally:
        del sys.modules["bitsandbytes"]
        answers = sys.modules.get("peft.import_utils")
        for remembered in ("is_bnb_available", "is_bnb_4bit_available"):
            if answers is not None:
                getattr(answers, remembered).cache_clear()


@contextmanager
def without_datasets() -> Iterator[None]:
    """transformers' trainer comes without datasets within it, unless that was imported already.

    All it wants of it is to tell whether a data set is one of its own. With it come pandas and pyarrow: a tenth of all
    that a worker imports, for which only data that was saved by it, or a recipe, has a use.
    """
    spec = None if "datasets" in sys.modules else importlib.util.find_spec("datasets")
    if spec is None:
        yield
        return
    stand_in = sys.modules["datasets"] = _Datasets("datasets")
    stand_in.__spec__ = spec
    try:
        yield
    finally:
        if sys.modules.get("datasets") is stand_in:
            del sys.modules["datasets"]


class _Datasets(ModuleType):
    """What a module has in place of datasets that was imported without it: the real one, once anybody imports that."""

    def __getattr__(self, name: str) -> Any:
        if name == "Dataset" and sys.modules.get("datasets", self) is self:
            return _NoDataset
        if name == "__file__":  # by which inspect looks for the module of a function, among all that there are
            raise AttributeError(name)
        if sys.modules.get("datasets") is self:
            del sys.modules["datasets"]
        return getattr(importlib.import_module("datasets"), name)


class _NoDataset:
    """Of which nobody can have one."""


def quiet_libraries() -> None:
    """Turns off the progress bars of transformers, the hub's client and datasets: speedtui reports progress itself."""
    import logging as python_logging

    from transformers.utils import logging

    # The hub's client with it.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it bare
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"  # for when it is imported
    if "datasets" in sys.modules:
        sys.modules["datasets"].disable_progress_bars()
    # it says at every 8-bit product that it casts what it is given
    python_logging.getLogger("bitsandbytes").setLevel(python_logging.ERROR)


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
