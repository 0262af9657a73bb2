"""Whether a predicted query gives what the right one gives, by running both on the row's database."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

QUERY_SECONDS = 5.0
"""Of each query; the right ones take a small part of it."""

INSTRUCTIONS = 20_000
"""Of SQLite's machine between two looks at the clock: about a millisecond."""

MOST_ROWS = 10_000
"""Of a result; a predicted cross join has more than any memory."""

Result = list[tuple[Any, ...]]


def execution_match(prediction: str, reference: str, row: Mapping[str, Any]) -> float:
    """1.0 where both queries give the same rows, else 0.0; in the same order where the right one asks for an order.

    row: the sample's columns; `database` is the path of a SQLite file, which is opened for reading only.

    Raises:
        sqlite3.Error: the right query cannot be run.
    """
    with _Database(row["database"]) as database:
        wanted = database.run(reference)
        try:
            given = database.run(prediction)
        except (sqlite3.Error, sqlite3.Warning, ValueError):  # what a model writes need not be SQL, nor a text of one
            return 0.0
    if "ORDER BY" in reference.upper():
        return float(wanted == given)
    return float(Counter(wanted) == Counter(given))


class _Database:
    """A connection of its own for each sample, since samples are scored in several threads."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(f"{Path(path).resolve().as_uri()}?mode=ro", uri=True)
        self._deadline = 0.0
        self._connection.set_progress_handler(self._late, INSTRUCTIONS)

    def __enter__(self) -> _Database:
        return self

    def __exit__(self, *error: object) -> None:
        self._connection.close()

    def run(self, sql: str) -> Result:
        self._deadline = time.monotonic() + QUERY_SECONDS
        rows = self._connection.execute(sql).fetchmany(MOST_ROWS)
        return [tuple(_rounded(value) for value in row) for row in rows]

    def _late(self) -> bool:
        return time.monotonic() > self._deadline


def _rounded(value: Any) -> Any:
    """Sums of floats depend on their order."""
    return round(value, 6) if isinstance(value, float) else value
