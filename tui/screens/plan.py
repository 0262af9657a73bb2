"""The Plan: profiles side by side, the next run's schedule, and what both come to against the window."""

from __future__ import annotations

from textual.app import ComposeResult

from speedtui.tui.keys import bindings
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.screens.view import View


class PlanScreen(View):
    """Edits go to the next run."""

    SCOPE = "plan"
    BINDINGS = bindings("plan")

    def compose(self) -> ComposeResult:
        yield Header("plan")
        yield Footer("plan")
