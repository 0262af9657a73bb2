"""A box of text over a screen, as high as its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from textual.app import ComposeResult
from textual.screen import ModalScreen

from speedtui.tui.drawing.frame import EDGES, INSET, framed
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import Row
from speedtui.tui.panes.pane import title

Answer = TypeVar("Answer")


class Box(Lines):
    """Has its screen draw it whenever its size is known or changes."""

    def on_resize(self) -> None:
        if isinstance(self.screen, Dialog):
            self.screen.draw()


class Dialog(ModalScreen[Answer]):
    """Subclasses say what stands in it."""

    WIDEST = 76
    """Cells of the box, its edges included, where the screen has them."""

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading
        self.first = 0
        """Row at the top, where not all find room."""

    def compose(self) -> ComposeResult:
        yield Box(classes="dialog")

    def body(self, width: int) -> Sequence[Row]:
        """All rows at a width."""
        raise NotImplementedError

    def hint(self, *, cut: bool) -> Row:
        """What stands at the right of the title; `cut` where there is more than is shown."""
        raise NotImplementedError

    def draw(self) -> None:
        """Fits the box to its text and the screen, and draws it."""
        box = self.query_one(Box)
        width = min(self.WIDEST, self.app.size.width)
        rows = self.body(width - EDGES - INSET)
        height = min(self.app.size.height, len(rows) + EDGES)
        self.first = max(0, min(self.first, len(rows) - (height - EDGES)))
        box.styles.width, box.styles.height = width, height
        hint = self.hint(cut=len(rows) > height - EDGES)
        box.set_rows(framed(title(self._heading), hint, rows[self.first :], width, height))
