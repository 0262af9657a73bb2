"""What the app has in front and who listens to it: the screen, the run on the Monitor, the run whose trials are
listed."""

from __future__ import annotations

from typing import Any

from speedtui.tui.keys import Scope
from speedtui.tui.options import ScreenOptions
from speedtui.tui.protocols import AwaitsTraining, Draws, SendsCommands
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.runs.open_runs import OpenRuns
from speedtui.tui.screens.view import View
from speedtui.tui.terminal.lean import LeanApp


class ShowingApp(LeanApp):
    """An app with runs open, of which it shows one or two."""

    fleet: OpenRuns
    options: ScreenOptions
    drawing: Draws
    orders: SendsCommands
    news: AwaitsTraining

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
    def scope(self) -> Scope:
        """Whose keys there are besides those that work everywhere."""
        base = self.screen_stack[0] if self.screen_stack else None
        return base.SCOPE if isinstance(base, View) else "monitor"

    @property
    def front(self) -> OpenRun:
        """The run on the Monitor."""
        return self.fleet.front

    @property
    def study(self) -> OpenRun:
        """The run whose trials are listed."""
        return self.fleet.study

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
