"""What both full screens share: header, panes, footer, and that they show frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.screen import Screen

from speedtui.engine.commands import AnyCommand
from speedtui.engine.state import TrialRow
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Situation, action_allowed
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.pane import Pane

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


COLUMN_STEPS = [(0, "-slim"), (72, "-normal"), (120, "-wide")]
"""Below 72 columns two panes side by side would cut their figures; from 120 on tables have room."""
ROW_STEPS = [(0, "-flat"), (10, "-low"), (20, "-short"), (32, "-tall")]
"""Rows at which another band of panes finds room."""


class View(Screen[None]):
    """Hands each frame to its panes; hidden ones get none."""

    HORIZONTAL_BREAKPOINTS = COLUMN_STEPS
    VERTICAL_BREAKPOINTS = ROW_STEPS

    frame: Frame | None = None

    @property
    def speedtui(self) -> SpeedtuiApp:
        """The app, by its own type."""
        return cast("SpeedtuiApp", self.app)

    @property
    def selected(self) -> TrialRow | None:
        """The trial under the cursor; only the Trials have one."""
        return None

    def on_screen_resume(self) -> None:
        """In front again, or for the first time: everything is drawn at once."""
        self.call_after_refresh(self.speedtui.draw_now)

    def on_resize(self) -> None:
        """A larger terminal has room for panes that were hidden and hold nothing yet."""
        self.call_after_refresh(self.speedtui.draw_now)

    def show(self, frame: Frame) -> None:
        """Shows a frame."""
        self.frame = frame
        for footer in self.query(Footer):
            footer.situation = self.situation()
        for pane in self.query(Pane):
            if pane.display:
                pane.show(frame)

    def situation(self) -> Situation | None:
        """What decides which keys do something."""
        if self.frame is None:
            return None
        return Situation(run=self.frame.run, study=self.frame.study, selected=self.selected)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys the keys that do nothing now."""
        now = self.situation()
        return True if now is None or action_allowed(action, now) else None

    def order(self, command: AnyCommand) -> None:
        """Sends a command of this screen's run."""
        self.speedtui.order(command)

    def action_move(self, rows: int) -> None:
        """Moves what moves on this screen."""

    def action_move_to(self, where: str) -> None:
        """To the top or the bottom of it."""
        self.action_move(-100_000 if where == "top" else 100_000)  # past any list
