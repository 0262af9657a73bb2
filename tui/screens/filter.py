"""One line at the bottom in which a filter is typed; what it lets through is shown while it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from speedtui.tui.drawing.text import clean
from speedtui.tui.screens.clean_input import CleanInput

OnTyped = Callable[[str], None]
"""Takes the text as far as it is typed."""
HINT = "enter keeps · esc takes it away"
HINT_COLUMNS = 60
"""Below it the line is the text's alone."""


class FilterScreen(ModalScreen[None]):
    """Tells every change; enter keeps the filter, escape takes it away."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "clear", "take it away", show=False)]
    AUTO_FOCUS = "Input"

    def __init__(self, text: str, typed: OnTyped) -> None:
        """`text`: the filter so far."""
        super().__init__(id="filter-prompt")
        self._text, self._typed = text, typed

    def compose(self) -> ComposeResult:
        with Horizontal(id="filter-line"):
            yield Static("/", id="filter-mark", markup=False)
            yield CleanInput(self._text, placeholder="words that must all occur")
            yield Static(HINT if self.app.size.width >= HINT_COLUMNS else "", id="filter-hint", markup=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Shows what the text lets through so far."""
        self._typed(clean(event.value).strip())

    def on_input_submitted(self) -> None:
        """Keeps it."""
        self.dismiss()

    def action_clear(self) -> None:
        self._typed("")
        self.dismiss()
