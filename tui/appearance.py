"""Themes and the mouse, changed while the screen is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def next_theme(app: SpeedtuiApp) -> None:
    """The next of the themes that suit a terminal."""


def toggle_mouse(app: SpeedtuiApp) -> None:
    """Has the terminal send mouse events, or no more."""
