"""The keys, from the table that also dispatches them, and the signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from speedtui.tui.drawing.text import Row, Span, cell, fit, row, width_of
from speedtui.tui.keys import Scope, keys_of
from speedtui.tui.screens.dialog import Dialog

SIGNS = (
    ("▶ ‖ ■", "running, paused, finished"),
    ("○ … ✗", "idle, starting, lost"),
    ("★ P ›", "fastest that fits or best, promoted, cursor"),
    ("○ ◦", "on the loss: an evaluation, one of the loss alone"),
    ("~", "an estimate, not measured"),
    ("–", "not measured, or not to be had"),
)
COLUMN_GAP = 3


class HelpScreen(Dialog[None]):
    """Closed with the key that opened it, escape or q."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss(None)", "close", show=False),
        Binding("up,k", "scroll_rows(-1)", "up", show=False),
        Binding("down,j", "scroll_rows(1)", "down", show=False),
        Binding("g,home", "scroll_rows(-1000)", "top", show=False),
        Binding("G,end", "scroll_rows(1000)", "bottom", show=False),
    ]

    WIDEST = 112

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"Help: {scope.capitalize()}")
        self._scope: Scope = scope

    def body(self, width: int) -> list[Row]:
        return draw_help(self._scope, width)

    def hint(self, *, cut: bool) -> Row:
        more = row(Span("↑↓", "key"), Span(" more   ", "dim")) if cut else ()
        return row(more, Span("? or esc", "key"), Span(" closes", "dim"))

    def action_scroll_rows(self, rows: int) -> None:
        """Scrolls."""
        self.first += rows
        self.draw()


def draw_help(scope: Scope, width: int) -> list[Row]:
    """All rows of the help: this screen's keys, those that work everywhere, the signs."""
    own = [row(Span(scope.capitalize(), "title")), *_keys(scope)]
    general = [row(Span("Everywhere", "title")), *_keys("everywhere")]
    signs = [row(Span("Signs", "title")), *(_entry(sign, text) for sign, text in SIGNS)]
    right = [*own, (), *signs]
    half = max(width_of(line) for line in general) + COLUMN_GAP
    if half + max(width_of(line) for line in right) > width:
        return [*own, (), *general, (), *signs]
    count = max(len(general), len(right))
    pairs = zip(_filled(general, count), _filled(right, count), strict=True)
    return [row(fit(left, half), other) for left, other in pairs]


def _filled(rows: Sequence[Row], count: int) -> list[Row]:
    return [*rows, *[()] * (count - len(rows))]


def _keys(scope: Scope) -> list[Row]:
    return [_entry(key.shown, key.help) for key in keys_of(scope)]


def _entry(left: str, right: str) -> Row:
    return row(" ", cell(left, 8, style="key"), right)
