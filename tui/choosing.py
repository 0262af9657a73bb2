"""All runs in a list, to look at one or to attach to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def choose_run(app: SpeedtuiApp) -> None:
    """Shows the list; the one chosen comes to the front."""
