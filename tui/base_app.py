"""What the app is made from: what it has in front, who listens to it, and what Textual's own does more often than is
needed, or takes for more than it is."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.await_complete import AwaitComplete
from textual.css.stylesheet import Stylesheet
from textual.notifications import SeverityLevel

from speedtui.engine.clean import UNBOUNDED, clean, clean_lines
from speedtui.tui.drawing.lines import COMPONENTS
from speedtui.tui.keys import Scope
from speedtui.tui.options import ScreenOptions
from speedtui.tui.protocols import AwaitsTraining, Draws, SendsCommands
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.runs.open_runs import OpenRuns
from speedtui.tui.screens.view import View
from speedtui.tui.textual_privates import PatchedApp, cache_all_sources

SWITCH_SECONDS = 0.001
"""As long as nothing is drawn when another screen comes to the front: its first layout is in one piece."""


class BaseApp(PatchedApp):
    """An app with runs open, of which it shows one or two."""

    COMPONENT_CLASSES: ClassVar[set[str]] = COMPONENTS

    runs: OpenRuns
    options: ScreenOptions
    drawing: Draws
    commands: SendsCommands
    notices: AwaitsTraining

    @property
    def view(self) -> View | None:
        """The full screen in front; None while a dialog is, and before the first screen and after the last."""
        front = self.screen_stack[-1] if self.screen_stack else None
        return front if isinstance(front, View) else None

    @property
    def seen(self) -> View | None:
        """The full screen that is seen, in front or behind a dialog."""
        return next((screen for screen in reversed(self.screen_stack) if isinstance(screen, View)), None)

    @property
    def base(self) -> View | None:
        """The full screen that all others in front were opened on."""
        base = self.screen_stack[0] if self.screen_stack else None
        return base if isinstance(base, View) else None

    @property
    def scope(self) -> Scope:
        """Whose keys there are besides those that work everywhere."""
        return self.base.SCOPE if self.base is not None else "monitor"

    @property
    def front(self) -> OpenRun:
        """The run on the Monitor."""
        return self.runs.front

    @property
    def study(self) -> OpenRun:
        """The run whose trials are listed."""
        return self.runs.study

    @property
    def read_only(self) -> bool:
        """Whether nobody follows commands of the run in front: a recording, or one that was over when it was opened."""
        return self.front.read_only

    @property
    def obeyed(self) -> bool:
        """Whether somebody is there to follow commands of the run in front."""
        return not self.read_only and not self.front.ended and self.front.state().status.busy

    @property
    def can_train(self) -> bool:
        """Whether a promoted configuration can be trained from here."""
        return self.options.train is not None and self.study is self.front

    @property
    def study_config(self) -> dict[str, Any]:
        """The configuration that candidates differ from."""
        return self.study.state().config

    # --- drawn and styled with less work; what is seen is the same ---

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
