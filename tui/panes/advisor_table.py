"""The strategies as a table, the largest gain first; columns go by priority as the screen gets narrow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Size
from textual.message import Message

from speedtui.engine.advise.strategy import AdvisorStrategy
from speedtui.engine.units import GIB, MIB
from speedtui.tui.drawing.text import Row, Span, cell, clean, crop, roughly, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture, state_span
from speedtui.tui.panes.pane import filter_note, lit, middle

LEAD = 5
"""Cursor, number and a gap."""
NAME = (21, 38)
"""A name gets what the screen has left, within these."""
STATE = 15
DASH = "–"
SAVES = "saves"
ARROW = "▼"
SORTED_BY = {"gain": "speed-up", "memory": "peak", "risk": "risk", "name": "strategy"}
"""The column that stands for each order."""


class StrategyColumn(NamedTuple):
    """A column between name and state."""

    name: str
    width: int
    priority: int
    """The highest number goes first where there is no room."""
    text: Callable[[AdvisorStrategy], str]
    right: bool = False


class StrategiesPane(AdvisorPane):
    """Lists them; the screen holds the cursor."""

    FILTERED = True
    first = 0
    """Row at the top."""

    class Moved(Message):
        """A row was pointed at, or the wheel was turned."""

        def __init__(self, *, to: int | None = None, by: int = 0) -> None:
            super().__init__()
            self.to, self.by = to, by

    class Filtered(Message):
        """Another filter was typed."""

    def filter(self, text: str) -> None:
        self.filter_text = text
        self.post_message(self.Filtered())

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as there are strategies, and the heading."""
        return max(3, len(self.shown.rows) + 1)

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        if not shown.rows:
            return draw_none(shown, width, height)
        room = max(1, height - 1)
        self.first = max(0, min(self.first, shown.at, len(shown.rows) - room), shown.at - room + 1)
        return draw_strategies(shown, self.first, width, height)

    def on_click(self, event: Click) -> None:
        if event.y > 0:
            self.post_message(self.Moved(to=self.first + event.y - 1))

    def on_mouse_scroll_down(self, _: MouseScrollDown) -> None:
        self.post_message(self.Moved(by=1))

    def on_mouse_scroll_up(self, _: MouseScrollUp) -> None:
        self.post_message(self.Moved(by=-1))


def draw_none(shown: AdvisorPicture, width: int, height: int) -> list[Row]:
    """What to do where nothing is listed."""
    if shown.filter_text:
        lines = [row(f" No strategy has “{shown.filter_text}”. ", Span("esc", "key"), " takes the filter away.")]
    elif shown.advised.problem:
        lines = [row(f" {clean(shown.advised.problem)}"), row(" ", Span("1", "key"), " shows how far the run is.")]
    else:
        lines = [row(" Nothing to advise. "), row(" ", Span("2", "key"), " shows the trials.")]
    return [crop(line, width) for line in middle(lines, height)]


def draw_strategies(shown: AdvisorPicture, first: int, width: int, height: int) -> list[Row]:
    """Heading and rows from `first` on."""
    columns, name = _chosen(width)
    seen = range(first, min(len(shown.rows), first + height - 1))
    rows = [lit(_line(shown, at, columns, name), width, here=at == shown.at) for at in seen]
    return [crop(line, width) for line in (_heading(shown, columns, name), *rows)]


def _heading(shown: AdvisorPicture, columns: Sequence[StrategyColumn], name: int) -> Row:
    """Names of the columns, an arrow at the sorted one; a filter stands in place of the first."""
    at = SORTED_BY.get(shown.sorted_by, "")
    note = crop(filter_note(shown.filter_text, len(shown.rows), shown.total), name - 1)
    first = row(note, " " * (name - width_of(note))) if note else row(cell(_marked("strategy", at), name, style="dim"))
    others = (cell(_marked(c.name, at), c.width, right=c.right, style="dim") for c in columns)
    return row(" " * LEAD, first, *others, Span(" state", "dim"))


def _marked(heading: str, at: str) -> str:
    return f"{heading}{ARROW}" if heading.strip() == at else heading


def _line(shown: AdvisorPicture, at: int, columns: Sequence[StrategyColumn], name: int) -> Row:
    strategy = shown.rows[at]
    quiet = "dim" if strategy.state in ("not_worth_it", "not_possible") else ""
    spans = [
        Span("›" if at == shown.at else " ", "accent"),
        cell(str(at + 1), LEAD - 3, right=True, style="dim"),
        cell(f"  {clean(strategy.name)}", name + 1, style=quiet or ("strong" if strategy.state == "ready" else "")),
        Span(" "),
    ]
    spans += [cell(column.text(strategy), column.width, right=column.right, style=quiet) for column in columns]
    return row(*spans, " ", state_span(strategy, shown))


def _chosen(width: int) -> tuple[list[StrategyColumn], int]:
    """The columns that fit, and the width of the name."""
    chosen = list(COLUMNS)
    while chosen and LEAD + NAME[0] + STATE + sum(column.width for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.priority))
    room = width - LEAD - STATE - sum(column.width for column in chosen)
    name = max(min(room, NAME[1]), min(13, room))
    if SAVES not in (column.name for column in chosen):
        chosen = [column._replace(text=gain_text) if column.text is speed_text else column for column in chosen]
    if len(chosen) == len(COLUMNS):  # the evidence is the longest text, and the last
        chosen[-1] = chosen[-1]._replace(width=chosen[-1].width + room - name)
    return chosen, name


def speed_text(strategy: AdvisorStrategy) -> str:
    """`1.31× [1.29 1.33]`, `~1.09× computed`; without an interval where too little was measured to make one, and a dash
    where nothing is known."""
    gain = strategy.gain
    if gain is None:
        return DASH
    if strategy.source == "estimate":
        return f"~{gain.ratio:.2f}× computed"
    if gain.low is None or gain.high is None:
        return f"{gain.ratio:.2f}×"
    return f"{gain.ratio:.2f}× [{gain.low:.2f} {gain.high:.2f}]"


def gain_text(strategy: AdvisorStrategy) -> str:
    """The speed-up; of what does not change a step the time that it saves."""
    saved = saves_text(strategy) if strategy.gain is None else DASH
    return f"{SAVES} {saved}" if saved != DASH else speed_text(strategy)


def peak_text(strategy: AdvisorStrategy) -> str:
    """`+1.2 GiB`; an estimate has its sign."""
    delta = strategy.peak_delta_bytes
    if delta is None:
        return DASH
    mark = "~" if strategy.peak_predicted else ""
    if abs(delta) < MIB / 2:
        return f"{mark}0"
    size = f"{delta / GIB:+.1f} GiB" if abs(delta) >= GIB else f"{delta / MIB:+.0f} MiB"
    return mark + size


def saves_text(strategy: AdvisorStrategy) -> str:
    """What a run takes less; a dash where it gains nothing."""
    saves = strategy.saves_seconds
    if saves is None or saves <= 0 or strategy.open or strategy.state in ("not_worth_it", "unproven"):
        return DASH
    return f"~{roughly(saves)}"


def evidence_text(strategy: AdvisorStrategy) -> str:
    """Where it comes from."""
    if strategy.open:
        return f"{strategy.evidence.partition(',')[0]}, interval has 1.00"
    return strategy.evidence


COLUMNS = (
    StrategyColumn("speed-up", 18, 0, speed_text),
    StrategyColumn("peak", 10, 3, peak_text, right=True),
    StrategyColumn("  risk", 11, 2, lambda strategy: f"  {strategy.risk}"),
    StrategyColumn(SAVES, 9, 4, saves_text, right=True),
    StrategyColumn("  evidence", 39, 5, lambda strategy: f"  {clean(evidence_text(strategy))}"),
)
"""The speed-up stays as long as any."""
