"""What all full screens share: header, panes, footer, and that they show frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.screen import Screen

from speedtui.engine.commands import AnyCommand
from speedtui.engine.state import TrialRow
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Scope, Situation, action_allowed
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

    SCOPE: ClassVar[Scope] = "monitor"
    """Whose keys it has."""

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
        frame = self.frame
        return Situation(
            run=frame.run, study=frame.study, selected=self.selected, replaying=frame.replay is not None,
            read_only=frame.read_only, runs=frame.runs,
        )  # fmt: skip

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys the keys that do nothing now."""
        now = self.situation()
        return True if now is None or action_allowed(self.SCOPE, action, now) else None

    def order(self, command: AnyCommand) -> None:
        """Sends a command of this screen's run."""
        self.speedtui.order(command)

    def copy_text(self) -> tuple[str, str]:
        """(what it is, its text) of what the cursor is on; an empty text where there is nothing to copy."""
        return "", ""

    def action_pane(self, by: int) -> None:
        """The next pane, or the one before."""

    def action_zoom(self) -> None:
        """The pane alone on the screen, and back."""

    def action_filter(self) -> None:
        """Asks for a filter."""

    def action_match(self, by: int) -> None:
        """The next row that matches, or the one before."""

    def action_back(self) -> None:
        """Takes away zoom, filter or selection, whichever came last."""

    def action_move(self, rows: int) -> None:
        """Moves what moves on this screen."""

    def action_move_to(self, where: str) -> None:
        """To the top or the bottom of it."""
        self.action_move(-100_000 if where == "top" else 100_000)  # past any list
