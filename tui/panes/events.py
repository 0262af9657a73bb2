"""What happened, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from speedtui.engine.state import RunState
from speedtui.engine.state.event_words import PREDICTED, TOO_MUCH
from speedtui.engine.state.snapshot import LogLine
from speedtui.tui.drawing.border import EDGES, HEADING_EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, hanging, row, width_of, wrap
from speedtui.tui.drawing.text import clock as clock_text
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, filter_note, matches, middle, title

WRAP_WIDTH = 40
"""Below it a line that is only news is cut rather than broken: its last word would stand alone."""
HINT, HINT_WIDTH = "/ filter", 48
"""At the right of the title, where the pane is at least so wide."""
MOST_ROWS = 3
"""Of one event; the trial's own pane has the whole reason."""
LEVELS = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}
FOLDED_FROM = 3
"""Predicted peaks one after the other from which on they stand in one line: each is in its trial's own log, too."""


class Entry(NamedTuple):
    """What stands in the pane for one line of the log, or for several that belong together."""

    line: LogLine
    """The oldest one."""
    text: str


class EventsPane(Pane):
    """The log, scrolled with the movement keys. Scrolled back, it stays where it is as more comes."""

    FILTERED = True

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._first: LogLine | None = None
        """The one at the top; None for the newest, whichever that is."""

    def scroll_lines(self, lines: int) -> None:
        """Towards older lines (positive) or newer ones."""
        if self.frame is None:
            return
        found = listed(self.frame.run, self.filter_text)
        at = max(0, min(len(found) - 1, self._skipped(found) + lines))
        self._first = found[at].line if at else None
        self.redraw()

    def show_oldest(self) -> None:
        """As far back as leaves the pane full."""
        if self.frame is None:
            return
        run, found = self.frame.run, listed(self.frame.run, self.filter_text)
        room, at = self.size.height - EDGES, len(found)
        while at > 0 and (room := room - len(_lines(run, found[at - 1], self.size.width - EDGES - INSET))) >= 0:
            at -= 1
        self._first = found[at].line if 0 < at < len(found) else None
        self.redraw()

    @property
    def top_text(self) -> str:
        """Of the one at the top, such as it is to be copied; empty where there is none."""
        found = listed(self.frame.run, self.filter_text) if self.frame is not None else []
        return clean(found[self._skipped(found)].text) if found else ""

    def _skipped(self, found: Sequence[Entry]) -> int:
        """Newer lines than the one at the top; one that a filter hides or that is gone counts as the newest."""
        return next((i for i, entry in enumerate(found) if entry.line is self._first), 0)

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        skipped = self._skipped(listed(frame.run, self.filter_text)) if self._first is not None else 0
        return draw_events(frame.run, skipped, width, height, self.filter_text)


def listed(run: RunState, wanted: str) -> list[Entry]:
    """Lines that have all words of a filter in their text, kind or level, the newest first. Without a filter predicted
    peaks that came together stand in one, and what was predicted again is left out.
    """
    if wanted:
        found = [line for line in run.log if matches(f"{line.kind} {line.level} {line.text}", wanted)]
        return [Entry(line, line.text) for line in reversed(found)]
    entries: list[Entry] = []
    told: set[int | None] = set()
    for predictions, group in groupby(run.log, key=_is_prediction):
        lines = [line for line in group if not predictions or line.trial not in told]
        entries += _predictions(lines) if predictions else [Entry(line, line.text) for line in lines]
        told |= {line.trial for line in lines} if predictions else set()
    return entries[::-1]


def _is_prediction(line: LogLine) -> bool:
    return line.trial is not None and PREDICTED in line.text


def _predictions(lines: Sequence[LogLine]) -> list[Entry]:
    latest_of = {line.trial: line for line in lines}
    if len(latest_of) < FOLDED_FROM:
        return [Entry(line, line.text) for line in latest_of.values()]
    *others, latest = [f"#{trial}" for trial, line in latest_of.items() if TOO_MUCH in line.text] or [""]
    names = f"{', '.join(others)} and {latest} do" if others else f"{latest} does"
    return [Entry(lines[0], f"{len(latest_of)} peaks predicted; {f'{names} not fit' if latest else 'all fit'}")]


def draw_events(run: RunState, skipped: int, width: int, height: int, wanted: str = "") -> list[Row]:
    """The pane at a size, without the `skipped` newest lines and without those that a filter leaves out."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    found = listed(run, wanted)
    rows: list[Row] = []
    for entry in found[skipped:]:
        if len(rows) >= inner_height:
            break
        rows += _lines(run, entry, inner_width, inner_height - len(rows))
    if not rows:
        words = "No event has these words; esc takes the filter away." if wanted else "Nothing has happened yet."
        rows = middle([row(Span(text, "dim")) for text in wrap(words, inner_width)], inner_height)
    heading = title("Events", filter_note(wanted, len(found), len(run.log)))
    right = HINT if width >= HINT_WIDTH and not wanted else ""
    if skipped:
        long, short = f"{skipped} newer, g shows them", f"{skipped} newer"
        right = long if width_of(heading) + len(long) + HEADING_EDGES <= width else short
    return bordered(heading, row(Span(right, "dim")), rows, width, height)


def _lines(run: RunState, entry: Entry, width: int, most: int = MOST_ROWS) -> list[Row]:
    """At most so many rows, and never more than MOST_ROWS."""
    line, text = entry
    mark, style = LEVELS.get(line.level, ("", ""))
    time_of_day = clock_text(run.wall(line.t), run.now)
    head = row(Span(time_of_day + " ", "dim"), Span(mark, style))
    if not mark and width < WRAP_WIDTH:
        return [row(head, clean(text))]
    return hanging(head, text, width, min(most, MOST_ROWS))
