"""A candidate's settings, one `setting = value` a line, checked while they are typed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from speedtui.engine.config.paths import setting_paths
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError
from speedtui.tui.drawing.text import clean
from speedtui.tui.values import format_value, parse_lines


class EditScreen(ModalScreen[dict[str, Scalar] | None]):
    """Comes back with the values, or None. Enter saves from any line, but only what can be used."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("up", "app.focus_previous", "previous", show=False),
        Binding("down", "app.focus_next", "next", show=False),
    ]
    AUTO_FOCUS = "Input"

    def __init__(self, heading: str, values: Mapping[str, Scalar], config: Mapping[str, Any]) -> None:
        super().__init__()
        self._heading, self._config = heading, config
        self._lines = [f"{path} = {format_value(value)}" for path, value in values.items()]
        self._suggester = SuggestFromList([f"{path} = " for path in setting_paths()])

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
        lines = [field.value for field in self.query(Input)]
        try:
            values = parse_lines(lines, self._config)
        except ConfigError as error:
            hint = f"\n  {clean(error.hint)}" if error.hint else ""
            message.update(f"✗ {clean(error.message)}{hint}")
            message.set_class(True, "-wrong")
            return None
        message.set_class(False, "-wrong")
        message.update(f"✓ {self._summary(values)}")
        return values

    def _summary(self, values: Mapping[str, Scalar]) -> str:
        if not values:
            return "no setting differs: the configuration as it is"
        train = self._config.get("train", {})
        micro = values.get("train.micro_batch_size", train.get("micro_batch_size"))
        effective = values.get("train.effective_batch_size", train.get("effective_batch_size"))
        if not isinstance(micro, int) or not isinstance(effective, int) or not micro:
            return "can be used"
        return f"micro-batch {micro} × accumulation {effective // micro} = effective batch {effective}"
