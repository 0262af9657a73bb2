"""A recording's controls: pause, speed, position."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def pause_replay(app: SpeedtuiApp) -> bool:
    """Holds or goes on with the recording in front; False where there is none."""
    return False


def change_speed(app: SpeedtuiApp, steps: int) -> None:
    """Twice as fast a step, or half as fast."""


def seek(app: SpeedtuiApp, steps: int) -> None:
    """On by a fiftieth of the recording a step, or back."""
