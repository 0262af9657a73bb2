"""Themes and the mouse, changed while the screen is open."""

from __future__ import annotations

from typing import Any

from textual.app import App

from speedtui.tui.terminal.driver import terminal_of
from speedtui.tui.terminal.theme import THEMES

SHORT_SECONDS = 3.0
"""For the answer to a key that shows by itself."""


def next_theme(app: App[Any]) -> None:
    """The next of the themes that suit a terminal."""
    if app.no_color:
        app.notify("NO_COLOR is set, so there is nothing to choose. --theme NAME overrides it.", severity="warning")
        return
    at = THEMES.index(app.theme) if app.theme in THEMES else -1
    app.theme = THEMES[(at + 1) % len(THEMES)]
    app.notify(f"Theme {app.theme}", timeout=SHORT_SECONDS)


def toggle_mouse(app: App[Any]) -> None:
    """Has the terminal send mouse events, or no more: then it selects text by itself again."""
    driver = terminal_of(app)
    if driver is None:
        app.notify("This terminal's mouse cannot be switched.", severity="warning")
        return
    driver.set_mouse(not driver.mouse)
    text = "Mouse on" if driver.mouse else "Mouse off: the terminal selects text by itself"
    app.notify(text, timeout=SHORT_SECONDS)
