"""The books of a run as rows that add up to the whole."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speedtui.engine.events import PHASES, Books
from speedtui.engine.state import RunState, RunStatus

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("training steps", ("data", "h2d", "forward", "backward", "optimizer", "log")),
    ("evaluation", ("eval", "generate", "metric")),
    ("checkpoints", ("checkpoint", "write")),
    ("between epochs", ("gap", "first_batch")),
    ("start", ("load", "compile")),
    ("standing still", ("paused", "away")),
    ("the rest", ("other", "unaccounted")),
)
"""Phases that a person thinks of together; each phase is in one of them."""
END_SECONDS = 1.5
"""Between closing the books and the log's last line, where a run ends by itself."""
LEAST_WALL = 1e-6
"""Seconds; of a run that is said to be shorter, damaged as its log is, there are no shares."""
TENTH = 0.1
"""Per cent and seconds are shown to the tenth."""


class BooksRow(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of the whole run."""

    phase: str
    """One of PHASES, or `unaccounted`."""
    group: str
    seconds: float
    share: float
    """Of the wall time; all rows together make 1."""


def closed_books(state: RunState) -> Books | None:
    """The run's books up to its last event; None where it never wrote any.

    What came after the last entry of a worker that is dead is nobody's: `away`. In a run that goes on it is not booked
    yet, and left out.
    """
    books = state.books
    if books is None:
        return None
    missing = state.t - books.wall
    if missing <= END_SECONDS or state.status not in (RunStatus.FINISHED, RunStatus.LOST):
        return books
    phases = {**books.phases, "away": books.phases.get("away", 0.0) + missing}
    return msgspec.structs.replace(books, wall=books.wall + missing, phases=phases)


def books_rows(books: Books) -> tuple[BooksRow, ...]:
    """Every phase that took time, in the order of GROUPS; what is unaccounted comes last, even where it is nothing."""
    seconds = {**dict.fromkeys((*PHASES, "unaccounted"), 0.0), **books.phases, "unaccounted": books.unaccounted}
    named = {phase for _, phases in GROUPS for phase in phases}
    seconds["other"] += sum(spent for phase, spent in seconds.items() if phase not in named)  # of a later version
    wall = books.wall if books.wall > LEAST_WALL else 1.0
    return tuple(
        BooksRow(phase=phase, group=group, seconds=seconds[phase], share=seconds[phase] / wall)
        for group, phases in GROUPS
        for phase in phases
        if seconds[phase] or phase == "unaccounted"
    )


def rounded(values: Sequence[float], unit: float = TENTH) -> list[float]:
    """Each value to a whole number of units, so that they add up to their rounded sum.

    The method of largest remainders: all are rounded down, and the units that are missing go to those that lost most.
    """
    units = [value / unit for value in values]
    floors = [int(count // 1) for count in units]
    missing = round(sum(units)) - sum(floors)
    by_loss = sorted(range(len(units)), key=lambda i: floors[i] - units[i])
    for i in by_loss[:missing]:
        floors[i] += 1
    return [round(count * unit, 6) for count in floors]
