"""What happened, the newest first."""

from __future__ import annotations

from speedtui.engine.state import RunState
from speedtui.engine.state.snapshot import LogLine
from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.text import Row, Span, clean, row, width_of, wrap
from speedtui.tui.drawing.text import clock as clock_text
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane, middle, title

WRAP_WIDTH = 40
"""Below it a line that is only news is cut rather than broken: its last word would stand alone."""
MOST_ROWS = 3
"""Of one event; the trial's own pane has the whole reason."""
LEVELS = {"warning": ("! ", "warn"), "error": ("✗ ", "bad")}


class EventsPane(Pane):
    """The log, scrolled with the movement keys."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.skipped = 0
        """Newest lines scrolled past."""

    def scroll_lines(self, lines: int) -> None:
        """Towards older lines (positive) or newer ones."""
        count = len(self.frame.run.log) if self.frame is not None else 0
        self.skipped = max(0, min(count - 1, self.skipped + lines))
        self.redraw()

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_events(frame.run, self.skipped, width, height)


def draw_events(run: RunState, skipped: int, width: int, height: int) -> list[Row]:
    """The pane at a size, without the `skipped` newest lines."""
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    rows: list[Row] = []
    for line in reversed(run.log[: len(run.log) - skipped] if skipped else run.log):
        if len(rows) >= inner_height:
            break
        rows += _lines(run, line, inner_width)
    if not rows:
        rows = middle([row(Span("Nothing has happened yet.", "dim"))], inner_height)
    right = row(Span(f"{skipped} newer, g shows them" if skipped else f"{len(run.log)}", "dim"))
    return framed(title("Events"), right if run.log else (), rows, width, height)


def _lines(run: RunState, line: LogLine, width: int) -> list[Row]:
    mark, style = LEVELS.get(line.level, ("", ""))
    time_of_day = clock_text(run.started_at + line.t, run.now)
    head = row(Span(time_of_day + " ", "dim"), Span(mark, style))
    room = max(8, width - width_of(head))
    if not mark and width < WRAP_WIDTH:
        return [row(head, clean(line.text))]
    first, *rest = wrap(line.text, room) or [""]
    return [row(head, first), *(row(" " * width_of(head), text) for text in rest[: MOST_ROWS - 1])]
