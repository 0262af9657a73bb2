"""What the panes of the Plan share: they draw the next run, and again only when it has become another one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from rich.cells import cell_len

from speedtui.engine.plan_types import Fit
from speedtui.engine.units import format_seconds
from speedtui.tui.drawing.text import Row, Span, cell, clock, roughly, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane

if TYPE_CHECKING:
    from speedtui.tui.draft.next_run import NextRun

FIT_WORDS: dict[Fit, tuple[str, str]] = {
    "fits": ("✓ yes", "good"), "tight": ("! tight", "warn"), "late": ("✗ late", "bad"),
    "no_memory": ("✗ memory", "bad"), "unknown": ("–", "dim"),
}  # fmt: skip
"""Sign, word and style; the word says it where there is no colour."""

Choice = TypeVar("Choice", covariant=True)
"""What a row of a pane stands for."""


class PlanPane(Pane, Generic[Choice]):
    """Holds a cursor over its rows, where it has any."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.next_run: NextRun | None = None
        self.at = 0
        """Row under the cursor."""
        self.has_keys = False
        """The arrow keys act here."""
        self._fresh = True

    def take(self, next_run: NextRun | None) -> None:
        """Takes the next run as it is now."""
        self._fresh = self._fresh or next_run is not self.next_run
        self.next_run = next_run

    def due(self, frame: Frame) -> bool:
        before = self.frame
        fresh, self._fresh = self._fresh, False
        return fresh or before is None or frame.planning is not before.planning or frame.plan_error is not None

    def choices(self) -> Sequence[Choice]:
        """What the cursor goes over, a row each."""
        return ()

    def selected(self) -> Choice | None:
        """What is under the cursor."""
        found = self.choices()
        return found[min(self.at, len(found) - 1)] if found else None

    def move(self, rows: int) -> None:
        """Moves the cursor, not past the ends."""
        self.at = max(0, min(len(self.choices()) - 1, self.at + rows))
        self.redraw()


def fit_span(fit: Fit, unpriced: Sequence[str] = ()) -> Span:
    """The verdict as a word; a `?` where something that nobody measured decides it."""
    return Span("?", "warn") if unpriced and fit == "unknown" else Span(*FIT_WORDS[fit])


def about(text: str, measured: bool) -> str:
    """`~` before what rests on no measurement."""
    return text if measured or text == "–" else f"~{text}"


def at_least(text: str, unpriced: Sequence[str]) -> str:
    """`≥` before a time in which something is left out."""
    return f"≥{text}" if unpriced and text != "–" else text


def time_of_day(when: float | None, now: float) -> str:
    """A dash where it is not known."""
    return "–" if when is None else clock(when, now)


def spare(seconds: float | None) -> str:
    """`+1h 12m`, or below zero where it is late."""
    return "–" if seconds is None else f"{'+' if seconds >= 0 else ''}{roughly(seconds)}"


def span(seconds: float | None) -> str:
    """A stretch of time as people say it; what takes less than ten seconds is not said to take none."""
    return "–" if seconds is None else roughly(seconds) if not 0 < abs(seconds) < 9.95 else format_seconds(seconds)


def pieces_that_fit(pieces: Iterable[Row], width: int, gap: str = "  ") -> Row:
    """Whole pieces as long as there is room; half of a figure is worse than none."""
    line: Row = ()
    for piece in pieces:
        longer = row(line, gap, piece) if line else piece
        if width_of(longer) <= width:
            line = longer
    return line


class PlanColumn(NamedTuple):
    """Of a table."""

    name: str
    priority: int
    """The highest number goes first where there is no room."""
    words: bool = False
    """Words stand at the left, figures at the right."""


class PlanTable(NamedTuple):
    """Rows at a width, and their heading."""

    head: Row
    rows: list[Row]


GAPS = ((100, 3), (48, 2), (0, 1))
"""From so many cells on, so many between two columns; below, figures are more welcome than the space between them."""


def table(columns: Sequence[PlanColumn], texts: Sequence[Sequence[Span]], width: int) -> PlanTable:
    """Columns as wide as what is in them, those of least importance left out; the last one of words takes the rest."""
    sizes = [
        max(cell_len(column.name), *(cell_len(line[i].text) for line in texts), 0) for i, column in enumerate(columns)
    ]
    kept = list(range(len(columns)))
    gap = next(gap for least, gap in GAPS if width >= least)
    if gap > 1:
        gap = gap if _wide(kept, columns, sizes, gap) <= width else 2
    elif _wide(kept, columns, sizes, 2) <= width:
        gap = 2
    while len(kept) > 1 and _wide(kept, columns, sizes, gap) > width:
        kept.remove(max(kept, key=lambda i: columns[i].priority))
    lines = [_table_row([line[i] for i in kept], [columns[i] for i in kept], [sizes[i] for i in kept], width, gap)
             for line in ([Span(column.name, "dim") for column in columns], *texts)]  # fmt: skip
    return PlanTable(lines[0], lines[1:])


LAST_WORDS = 16
"""Cells that a last column of words needs at least; what does not fit is cut."""


def _wide(kept: Sequence[int], columns: Sequence[PlanColumn], sizes: Sequence[int], gap: int) -> int:
    last = kept[-1]
    wanted = [min(sizes[i], LAST_WORDS) if i == last and columns[i].words else sizes[i] for i in kept]
    return sum(wanted) + gap * (len(kept) - 1)


def _table_row(line: Sequence[Span], columns: Sequence[PlanColumn], sizes: Sequence[int], width: int, gap: int) -> Row:
    parts: list[Span] = []
    left = width
    for i, (text, column, size) in enumerate(zip(line, columns, sizes, strict=True)):
        if i == len(line) - 1 and column.words:
            size = min(size, left)
        parts.append(cell(text.text, max(0, size), right=not column.words, style=text.style))
        parts.append(Span(" " * gap))
        left -= size + gap
    return row(*parts[:-1])
