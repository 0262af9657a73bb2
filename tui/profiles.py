"""Profiles side by side, and the one that the next run takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def choose_profile(app: SpeedtuiApp) -> None:
    """Shows the list; the one chosen goes to the next run."""
