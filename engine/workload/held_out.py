"""Which rows of the training data are held out to evaluate on."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.errors import DataError
from speedtui.engine.units import plural
from speedtui.engine.workload.cache import file_identity
from speedtui.engine.workload.readers import count_rows


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two parts of a file's rows: those held out, or the others."""

    share: float
    """Of all rows, for those held out; rounded, and at least one."""
    seed: int
    held_out: bool

    def of(self, path: Path) -> list[bool]:
        """Whether each row of the file is in this part, in the file's order.

        The file is read once to count its rows, where it does not say how many there are.

        Raises:
            DataError: the file cannot be read, or one of the parts would be empty.
        """
        held = _held_out(_key(path), self.share, self.seed)
        return held if self.held_out else [not row for row in held]

    def rows(self, path: Path) -> int:
        """How many rows of the file are in this part.

        Raises:
            DataError: as `of`.
        """
        return sum(self.of(path))


def _key(path: Path) -> tuple[Any, ...]:
    """Differs where the file was written anew; the path is its first part."""
    return (str(path), *(tuple(file) for file in file_identity(path))) if path.exists() else (str(path),)


@lru_cache(maxsize=8)
def _held_out(key: tuple[Any, ...], share: float, seed: int) -> list[bool]:
    path = Path(key[0])
    rows = count_rows(path)
    count = max(round(share * rows), 1)
    if count >= rows:
        raise DataError(
            f"{path}: data.validation_share {share:g} of {plural(rows, 'row')} leaves none to train on",
            "Take a smaller share, or name data.eval instead.",
        )
    draw = random.Random(seed).random  # of Python's random, only this sequence is promised to stay the same
    places = sorted(range(rows), key=[draw() for _ in range(rows)].__getitem__)
    held = [False] * rows
    for place in places[:count]:
        held[place] = True
    return held
