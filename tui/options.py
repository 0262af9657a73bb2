"""How the screen is to be shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from speedtui.engine.session.base import Session

StartScreen = Literal["monitor", "trials", "plan", "advisor"]


class ScreenOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Chosen by the command that opens the screen."""

    rate_hz: float = 2.0
    """Redraws of changing numbers a second; charts and devices at most once a second."""
    read_only: bool = False
    """A finished run or a replay: commands are refused with a notice."""
    start_screen: StartScreen = "monitor"
    train: Callable[[str], Session] | None = None
    """Starts a training from a promoted configuration file; None where that cannot be done from here."""
    plan: Callable[[bool], Session] | None = None
    """Starts the making of a plan for the configuration of the run in front; True: profiles may be measured, which
    needs the device alone. None where that cannot be done from here."""
    runs: Path | None = None
    """Folder of the runs, for the list of them; None where only this one is shown."""
    keymap: dict[str, str] = {}
    """Keys by the ids of the key table, instead of its own."""
    clock: Callable[[], float] = time.time
    """Wall clock in seconds since the epoch; tests fix it."""
