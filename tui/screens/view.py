"""What all full screens share: header, panes, footer, and that they show frames."""

from __future__ import annotations

from typing import ClassVar, cast

from textual.screen import Screen
from textual.widget import Widget

from speedtui.engine.commands import AnyCommand
from speedtui.engine.state import TrialRow
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Scope, Situation, action_allowed
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.pane import ZOOM, Pane
from speedtui.tui.protocols import AppUse
from speedtui.tui.textual_privates import PatchedScreen

COLUMN_STEPS = [(0, "-slim"), (72, "-normal"), (120, "-wide")]
"""Below 72 columns two panes side by side would cut their figures; from 120 on tables have room."""
ROW_STEPS = [(0, "-flat"), (10, "-low"), (20, "-short"), (32, "-tall")]
"""Rows at which another band of panes finds room."""


ZOOMED = "-zoomed"
"""Class of a screen on which one pane stands alone."""


class View(PatchedScreen, inherit_bindings=False):
    """Hands each frame to its panes; hidden ones get none. Tab is a key of the table, not Textual's."""

    HORIZONTAL_BREAKPOINTS = COLUMN_STEPS
    VERTICAL_BREAKPOINTS = ROW_STEPS

    SCOPE: ClassVar[Scope] = "monitor"
    """Whose keys it has."""
    PANES: ClassVar[tuple[str, ...]] = ()
    """Ids of those that tab goes through, in its order."""
    MAIN: ClassVar[str] = ""
    """Id of the one that is zoomed where none is in focus."""

    frame: Frame | None = None
    pane_in_focus: str = ""
    """Id of the pane that keys go to first; empty until tab is pressed."""
    _to_be_drawn: bool = False
    filter_text: str = ""
    """Words that all occur in what the panes list; empty without a filter."""

    @property
    def speedtui(self) -> AppUse:
        """What a screen may use of the app."""
        return cast(AppUse, self.app)

    @property
    def selected(self) -> TrialRow | None:
        """The trial under the cursor; only the Trials have one."""
        return None

    def on_screen_resume(self) -> None:
        """In front again, or for the first time: everything is drawn at once."""
        self._draw_soon()

    def on_screen_suspend(self) -> None:
        """A dialog or another screen comes over it: that was asked for."""
        self.speedtui.drawing.excuse()

    def on_resize(self) -> None:
        """A larger terminal has room for panes that were hidden and hold nothing yet."""
        self._draw_soon()

    def _draw_soon(self) -> None:
        """Once the layout is known; once for all who ask until then."""
        if not self._to_be_drawn:
            self._to_be_drawn = True
            self.call_after_refresh(self._draw_everything)

    def _draw_everything(self) -> None:
        self._to_be_drawn = False
        self.speedtui.drawing.now()

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
        self.speedtui.commands.send(command)

    def copy_text(self) -> tuple[str, str]:
        """(what it is, its text) of what the cursor is on; an empty text where there is nothing to copy."""
        return "", ""

    # --- panes: focus, zoom, filter ---

    @property
    def main_pane(self) -> str:
        """Id of the pane that is zoomed where none is in focus."""
        return self.MAIN

    def panes_now(self) -> list[str]:
        """Ids of those that tab goes through now: the displayed ones, or all while one of them stands alone."""
        return [name for name in self.PANES if self.zoomed or self._pane(name).display]

    def focus_pane(self, name: str) -> None:
        """Brings a pane into focus by its id; none with an empty one."""
        before, self.pane_in_focus = self.pane_in_focus, name
        for changed in filter(None, dict.fromkeys((before, name))):
            pane = self._pane(changed)
            pane.in_focus = changed == name
            pane.redraw()
        if name and self.zoomed:
            self._zoom(name)

    @property
    def zoomed(self) -> bool:
        """Whether one pane stands alone."""
        return self.has_class(ZOOMED)

    def action_pane(self, by: int) -> None:
        """The next pane, or the one before."""
        names = self.panes_now()
        if not names:
            return
        start = -1 if by > 0 else 0
        at = names.index(self.pane_in_focus) if self.pane_in_focus in names else start
        self.focus_pane(names[(at + by) % len(names)])

    def action_zoom(self) -> None:
        """The pane alone on the screen, and back."""
        self._zoom("" if self.zoomed else self.pane_in_focus or self.main_pane)

    def _zoom(self, name: str) -> None:
        for widget in self.query(f".{ZOOM}"):
            widget.remove_class(ZOOM, update=False)
        self.set_class(bool(name), ZOOMED, update=False)
        if name:
            pane = self._pane(name)
            for node in pane.ancestors_with_self:
                if isinstance(node, Widget) and not isinstance(node, Screen):
                    node.add_class(ZOOM, update=False)
        self.update_node_styles()
        self._draw_soon()

    def _pane(self, name: str) -> Pane:
        return self.query_one(f"#{name}", Pane)

    def action_filter(self) -> None:
        """Asks for a filter; only where a pane lists something."""
        # Imported when it is needed: input fields take 30 ms that the first paint need not wait for.
        from speedtui.tui.screens.filter import FilterScreen

        if any(pane.FILTERED for pane in self.query(Pane)):
            self.app.push_screen(FilterScreen(self.filter_text, self.filtered))

    def filtered(self, text: str) -> None:
        """Shows in the panes that list something only what has all words of the text; everything with an empty one."""
        self.filter_text = text
        for pane in self.query(Pane):
            if pane.FILTERED:
                pane.filter(text)

    def action_match(self, by: int) -> None:
        """The next row that matches, or the one before; only those are listed, so it is the next row."""
        if self.filter_text:
            self.action_move(by)

    def action_back(self) -> None:
        """Takes away the zoom, or else the filter, or else the focus."""
        if self.zoomed:
            self.action_zoom()
        elif self.filter_text:
            self.filtered("")
        elif self.pane_in_focus:
            self.focus_pane("")

    def action_move(self, rows: int) -> None:
        """Moves what moves on this screen."""

    def action_move_to(self, where: str) -> None:
        self.action_move(-100_000 if where == "top" else 100_000)  # past any list
