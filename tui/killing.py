"""The last resort: a worker that answers to nothing is killed, after asking."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def ask_and_kill(app: SpeedtuiApp) -> None:
    """Says what would be lost, and kills the worker of the run in front."""
