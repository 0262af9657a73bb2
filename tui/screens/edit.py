"""Settings, one `setting = value` a line, checked while they are typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError
from speedtui.tui.drawing.text import clean


class Edited(NamedTuple):
    """Lines that can be used."""

    values: dict[str, Scalar]
    """By path."""
    summary: str
    """What they come to, in words."""


Check = Callable[[Sequence[str]], Edited]
"""Reads the lines, or raises a ConfigError that says what is wrong with them and what was expected."""


class EditScreen(ModalScreen[dict[str, Scalar] | None]):
    """Comes back with the values, or None. Enter saves from any line, but only what can be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("up", "app.focus_previous", "previous", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]
    AUTO_FOCUS = "Input"

    def __init__(self, heading: str, lines: Sequence[str], check: Check, names: Sequence[str]) -> None:
        """`names`: of the settings that are suggested while one is typed."""
        super().__init__()
        self._heading, self._lines, self._read = heading, list(lines), check
        self._suggester = SuggestFromList([f"{name} = " for name in names])

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="dialog") as box:
            box.border_title = self._heading
            box.border_subtitle = "enter saves · ↑ ↓ line · → completes · esc back"
            with VerticalScroll(id="edit-lines", can_focus=False):
                for line in [*self._lines, ""]:
                    yield self._field(line)
            yield Static(id="edit-message", markup=False)

    def _field(self, text: str) -> Input:
        return Input(
            text, placeholder="setting = value", suggester=self._suggester, compact=True, select_on_focus=False
        )

    def on_mount(self) -> None:
        self._check()

    def on_input_changed(self, event: Input.Changed) -> None:
        fields = list(self.query(Input))
        if fields[-1].value.strip():
            self.query_one("#edit-lines").mount(self._field(""))
        self._check()

    def on_input_submitted(self) -> None:
        values = self._check()
        if values is not None:
            self.dismiss(values)

    def _check(self) -> dict[str, Scalar] | None:
        """The values, or None with the reason on the screen."""
        message = self.query_one("#edit-message", Static)
        try:
            edited = self._read([field.value for field in self.query(Input)])
        except ConfigError as error:
            hint = f"\n  {clean(error.hint)}" if error.hint else ""
            message.update(f"✗ {clean(error.message)}{hint}")
            message.set_class(True, "-wrong")
            return None
        message.set_class(False, "-wrong")
        message.update(f"✓ {clean(edited.summary)}")
        return edited.values
