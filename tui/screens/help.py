"""The keys, from the table that also dispatches them, and the signs."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen

from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import Row, Span, cell, fit, row
from speedtui.tui.keys import Scope, keys_of
from speedtui.tui.panes.pane import title

SIGNS = (
    ("▶ ‖ ■", "running, paused, finished"),
    ("○ … ✗", "idle, starting, lost"),
    ("★ P ›", "fastest that fits, promoted, cursor"),
    ("~", "an estimate, not measured"),
    ("–", "not measured, or not to be had"),
)
TWO_COLUMNS = 76
"""Cells inside the box from which the lists stand side by side."""


class HelpScreen(ModalScreen[None]):
    """Closed with the key that opened it, escape or q."""

    BINDINGS = [
        Binding("escape,question_mark,q", "dismiss(None)", "close", show=False),
        Binding("up,k", "scroll_rows(-1)", "up", show=False),
        Binding("down,j", "scroll_rows(1)", "down", show=False),
        Binding("g,home", "scroll_rows(-1000)", "top", show=False),
        Binding("G,end", "scroll_rows(1000)", "bottom", show=False),
    ]

    def __init__(self, scope: Scope) -> None:
        super().__init__()
        self._scope: Scope = scope
        self._first = 0

    def compose(self) -> ComposeResult:
        yield Lines(id="help", classes="dialog")

    def on_mount(self) -> None:
        self.call_after_refresh(self.draw)

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def draw(self) -> None:
        """Draws the rows from the first one shown."""
        box = self.query_one(Lines)
        width, height = box.size
        rows = draw_help(self._scope, width - EDGES - INSET)
        self._first = max(0, min(self._first, len(rows) - (height - EDGES)))
        more = row(Span("↑↓", "key"), Span(" more   ", "dim")) if len(rows) > height - EDGES else ()
        right = row(more, Span("? or esc", "key"), Span(" closes", "dim"))
        box.set_rows(framed(title(f"Help: {self._scope.capitalize()}"), right, rows[self._first :], width, height))

    def action_scroll_rows(self, rows: int) -> None:
        """Scrolls."""
        self._first += rows
        self.draw()


def draw_help(scope: Scope, width: int) -> list[Row]:
    """All rows of the help: this screen's keys, those that work everywhere, the signs."""
    own = [row(Span(scope.capitalize(), "title")), *_keys(scope)]
    general = [row(Span("Everywhere", "title")), *_keys("everywhere")]
    signs = [row(Span("Signs", "title")), *(_entry(sign, text) for sign, text in SIGNS)]
    if width < TWO_COLUMNS:
        return [*own, (), *general, (), *signs]
    return _side_by_side(general, [*own, (), *signs], width)


def _keys(scope: Scope) -> list[Row]:
    return [_entry(key.shown, key.help) for key in keys_of(scope)]


def _entry(left: str, right: str) -> Row:
    return row(" ", cell(left, 8, style="key"), right)


def _side_by_side(left: Sequence[Row], right: Sequence[Row], width: int) -> list[Row]:
    half = width // 2
    count = max(len(left), len(right))
    lines = [*left, *[()] * (count - len(left))], [*right, *[()] * (count - len(right))]
    return [row(fit(a, half), b) for a, b in zip(*lines, strict=True)]
