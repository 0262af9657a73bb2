"""Copies text to the clipboard of the terminal's own machine, and into a file for terminals that do not take it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.tui.screens.view import View

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def copy_from(app: SpeedtuiApp, view: View) -> None:
    """Copies what the cursor of a screen is on, and says what and where to."""
    what, text = view.copy_text()
    copy(app, what, text)


def copy(app: SpeedtuiApp, what: str, text: str) -> None:
    """Copies a text; `what`: its name in the notification."""
