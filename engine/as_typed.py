"""Commands as a person types them, for what is shown and copied. A script that is run anywhere has them whole."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from speedtui.engine.clean import shell_line

PROGRAM = "speedtui"


def as_typed(command: Sequence[str]) -> str:
    """One line for a shell in any folder: the program by its name where that finds the same one."""
    words = list(command)
    if words and _same(shutil.which(PROGRAM), words[0]):
        words[0] = PROGRAM
    return shell_line(*words)


def _same(one: str | None, other: str) -> bool:
    """Whether both lead to one file."""
    try:
        return one is not None and Path(one).resolve() == Path(other).resolve()
    except (OSError, RuntimeError):  # a working directory that is gone, links in a circle
        return False
