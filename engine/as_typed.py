"""Commands as a person types them, for what is shown and copied. A script that is run anywhere has them whole."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from speedtui.engine.clean import shell_line

PROGRAM = "speedtui"
RUNS = "--runs"
DEFAULT_RUNS = "runs"


def as_typed(command: Sequence[str]) -> str:
    """One line for a shell in this folder: the program by its name where that finds the same one, and without the
    folder of the runs where it is the one that is taken by itself."""
    words = list(command)
    if words and _same(shutil.which(PROGRAM), words[0]):
        words[0] = PROGRAM
    if RUNS in words[:-1]:
        at = words.index(RUNS)
        if _same(DEFAULT_RUNS, words[at + 1]):
            del words[at : at + 2]
    return shell_line(*words)


def _same(one: str | None, other: str) -> bool:
    """Whether both lead to one file or folder; it need not be there."""
    try:
        return one is not None and Path(one).resolve() == Path(other).resolve()
    except (OSError, RuntimeError):  # a working directory that is gone, links in a circle
        return False
