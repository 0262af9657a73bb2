"""A name, checked while it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from speedtui.tui.drawing.text import clean
from speedtui.tui.screens.clean_input import CleanInput, say_checked


class NameScreen(ModalScreen[str | None]):
    """Comes back with the name, or None. Enter takes it, but only one that can be used."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "back", show=False)]
    AUTO_FOCUS = "Input"

    def __init__(self, heading: str, check: Callable[[str], str]) -> None:
        """`check` says what the name will do, or raises a SpeedtuiError that says what is wrong with it."""
        super().__init__()
        self._heading, self._name_check = heading, check

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="dialog") as box:
            box.border_title = Content(clean(self._heading))
            box.border_subtitle = "enter saves · esc back"
            yield CleanInput(placeholder="name")
            yield Static(id="edit-message", markup=False)

    def on_input_changed(self) -> None:
        self._checked()

    def on_input_submitted(self) -> None:
        name = self._checked()
        if name is not None:
            self.dismiss(name)

    def _checked(self) -> str | None:
        name = self.query_one(Input).value.strip()
        return say_checked(self.query_one("#edit-message", Static), lambda: (name, self._name_check(name)))
