"""Settings, one `setting = value` a line, checked while they are typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from speedtui.tui.candidates.completion import SettingSuggester, hint
from speedtui.tui.drawing.text import clean
from speedtui.tui.screens.clean_input import CleanInput, say_checked

Result = TypeVar("Result")


class EditScreen(ModalScreen[Result | None], Generic[Result]):
    """Lines of settings; comes back with what they come to, or None. Enter saves only what can be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("up", "app.focus_previous", "previous", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]
    AUTO_FOCUS = "Input"

    def __init__(
        self, heading: str, lines: Sequence[str], read: Callable[[Sequence[str]], tuple[Result, str]],
        names: Sequence[str], config: Mapping[str, Any] | None = None, *, placeholder: str = "setting = value",
        enter: str = "saves",
    ) -> None:  # fmt: skip
        """`read`: what lines come to, and that in words, or a ConfigError that says what was expected; `names`: of the
        settings that are suggested while one is typed; `config`: what they are now; `enter`: what that key does."""
        super().__init__()
        self._heading, self._lines, self._read = heading, list(lines), read
        self._names, self._config = tuple(names), config or {}
        self._suggester = SettingSuggester(self._names)
        self._placeholder, self._enter = placeholder, enter

    def compose(self) -> ComposeResult:
        with Vertical(id="edit", classes="dialog") as box:
            box.border_title = Content(clean(self._heading))
            box.border_subtitle = Content(f"enter {self._enter} · ↑ ↓ line · → completes · esc back")
            with VerticalScroll(id="edit-lines", can_focus=False):
                for line in [*self._lines, ""]:
                    yield self._field(line)
            yield Static(id="edit-message", markup=False)
            yield Static(id="edit-hint", markup=False)

    def _field(self, text: str) -> Input:
        return CleanInput(text, placeholder=self._placeholder, suggester=self._suggester)

    def on_mount(self) -> None:
        self._check()

    def on_descendant_focus(self) -> None:
        """Another line: another hint."""
        self._hint()

    def on_input_changed(self, event: Input.Changed) -> None:
        fields = list(self.query(Input))
        if fields[-1].value.strip():
            self.query_one("#edit-lines").mount(self._field(""))
        self._check()
        self._hint()

    def on_input_submitted(self) -> None:
        found = self._check()
        if found is not None:
            self.dismiss(found)

    def _hint(self) -> None:
        field = self.focused
        text = hint(field.value, self._names, self._config) if isinstance(field, Input) else ""
        self.query_one("#edit-hint", Static).update(clean(text))

    def _check(self) -> Result | None:
        """What the lines come to, or None with the reason on the screen."""
        lines = [field.value for field in self.query(Input)]
        return say_checked(self.query_one("#edit-message", Static), lambda: self._read(lines))
