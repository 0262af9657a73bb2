"""The Advisor: where the time goes, what would make the run faster, and what shows that it would."""

from __future__ import annotations

from textual.app import ComposeResult

from speedtui.tui.keys import bindings
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.screens.view import View


class AdvisorScreen(View):
    """What it applies goes to the next run."""

    SCOPE = "advisor"
    BINDINGS = bindings("advisor")

    def compose(self) -> ComposeResult:
        yield Header("advisor")
        yield Footer("advisor")
