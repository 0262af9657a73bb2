"""A box of text over a screen, as high as its text; where that has no room it scrolls, and its cursor stays seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import Row
from speedtui.tui.panes.pane import title

Answer = TypeVar("Answer")
CURSOR = "cursor"
"""Style of the rows that the cursor is on."""


class Box(Lines):
    """Has its screen draw it whenever its size is known or changes."""

    def on_resize(self) -> None:
        if isinstance(self.screen, Dialog):
            self.screen.draw()


CURSOR_KEYS: list[BindingType] = [
    Binding("up,k", "step(-1)", "up", show=False),
    Binding("down,j", "step(1)", "down", show=False),
]


class Dialog(ModalScreen[Answer]):
    """Subclasses say what stands in it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "app.help_quit", "leave", show=False)]

    WIDEST = 76
    """Cells of the box, its edges included, where the screen has them."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading
        self.cursor = 0
        """What is under the cursor, where there is something to choose from."""
        self.first = 0
        """Row at the top, where not all find room."""

    def compose(self) -> ComposeResult:
        box = Box(classes="dialog")
        box.rows = self._fitted(box, follow=True)  # painted once: at its size, and with its text
        yield box

    def body(self, width: int) -> Sequence[Row]:
        """All rows at a width; those under the cursor in the cursor's style."""
        raise NotImplementedError

    def foot(self, width: int) -> Row:
        """A last row that does not scroll away."""
        return ()

    def hint(self, *, cut: bool) -> Row:
        """What stands at the right of the title; `cut` where there is more than is shown."""
        raise NotImplementedError

    def draw(self, *, follow: bool = True) -> None:
        """Fits the box to its text and the screen, and draws it; `follow`: scrolled to where the cursor is."""
        box = self.query_one(Box)
        box.set_rows(self._fitted(box, follow=follow))

    def _fitted(self, box: Box, *, follow: bool) -> list[Row]:
        width = min(self.WIDEST, self.app.size.width)
        inner = width - EDGES - INSET
        foot = [line] if (line := self.foot(inner)) else []
        room = max(1, self.app.size.height - EDGES - len(foot))
        rows = _without_gaps(list(self.body(inner)), room)
        if follow:
            self.first = _in_sight(rows, self.first, room)
        self.first = max(0, min(self.first, len(rows) - room))
        shown = rows[self.first : self.first + room]
        height = len(shown) + len(foot) + EDGES
        box.styles.width, box.styles.height = width, height
        hint = self.hint(cut=len(rows) > room)
        return bordered(title(self._heading), hint, [*shown, *foot], width, height)

    def count(self) -> int:
        """How much there is to choose from."""
        return 0

    def action_step(self, rows: int) -> None:
        """Moves the cursor, not past the ends."""
        self.cursor = max(0, min(self.count() - 1, self.cursor + rows))
        self.draw()

    def action_leave_for(self, screen: str) -> None:
        """Gives way to a screen, where the dialog has its number keys."""
        self.dismiss(None)
        self.app.switch_mode(screen)

    def action_scroll_rows(self, rows: int) -> None:
        """Scrolls, whatever the cursor is on."""
        self.first += rows
        self.draw(follow=False)


def _without_gaps(rows: list[Row], room: int) -> list[Row]:
    """Empty rows are the first to go where there is little room."""
    return [line for line in rows if line] if len(rows) > room else rows


def _in_sight(rows: Sequence[Row], first: int, room: int) -> int:
    """The row at the top with which those under the cursor are seen, moved no more than that takes."""
    under = [y for y, line in enumerate(rows) if any(CURSOR in span.style.split() for span in line)]
    if not under:
        return first
    return min(max(first, under[-1] - room + 1), under[0])
