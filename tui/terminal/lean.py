"""What Textual's app does more often than this one needs: it parses every style again for each screen that is seen for
the first time, and works out the styles of text for each pane that may hold some. And what it takes for more than it
is: a notification for markup."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.await_complete import AwaitComplete
from textual.css.stylesheet import Stylesheet
from textual.notifications import SeverityLevel

from speedtui.engine.clean import UNBOUNDED, clean, clean_lines
from speedtui.tui.drawing.lines import COMPONENTS
from speedtui.tui.textual_privates import AppBase, cache_all_sources

SWITCH_SECONDS = 0.001
"""As long as nothing is drawn when another screen comes to the front: its first layout is in one piece."""


class LeanApp(AppBase):
    """Draws and styles with less work; what is seen is the same."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS

    def style_once(self) -> None:
        """Takes the chosen theme's colours before the first parse, so that it is the only one."""
        self.stylesheet = ParsedOnce(variables=self.get_css_variables())

    def push_screen(self, *arguments: Any, **options: Any) -> Any:
        """A dialog is drawn when it has its size, and not before as well."""
        self.delay_update()
        return super().push_screen(*arguments, **options)

    def pop_screen(self) -> AwaitComplete:
        """What lay below is drawn when it has heard that it is in front, and not before as well."""
        self.delay_update()
        return super().pop_screen()

    def notify(
        self, message: str, *, title: str = "", severity: SeverityLevel = "information", timeout: float | None = None,
        markup: bool = False,
    ) -> None:  # fmt: skip
        """What is told is text: `exp[lr=1e-4]` is a folder's name, and whatever asks for markup gets none."""
        super().notify(clean(message), title=clean(title), severity=severity, timeout=timeout, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Hands the terminal text and nothing that it, or whatever it is pasted into, would take for a key."""
        super().copy_to_clipboard(clean_lines(text, UNBOUNDED))

    def delay_update(self, delay: float = SWITCH_SECONDS) -> None:
        """Textual holds back a screen that is switched to for 50 ms, which is most of what its key takes."""
        super().delay_update(delay)


class ParsedOnce(Stylesheet):
    """Keeps what it parsed until a colour or a source changes."""

    def __init__(self, *, variables: dict[str, str]) -> None:
        """`variables`: the theme's colours by name."""
        super().__init__(variables=variables)
        self._parsed_with = variables
        cache_all_sources(self)

    def set_variables(self, variables: dict[str, str]) -> None:
        """The theme's colours by name."""
        if variables != self._parsed_with:
            super().set_variables(variables)
            self.parse()
            self._parsed_with = variables

    def reparse(self) -> None:
        """Parses only sources that are not parsed; Textual would begin with an empty cache."""
        self.parse()
