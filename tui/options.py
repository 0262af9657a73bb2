"""How the screen is to be shown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.session.base import Session

StartScreen = Literal["monitor", "trials", "plan", "advisor"]


class TrainingStart(msgspec.Struct, frozen=True, kw_only=True):
    """A training that is to be started."""

    config_file: str
    trial: int | None = None
    """Whose settings these are, where one was promoted; the file stands in its study's folder then."""
    profile: str | None = None
    """Where its settings come from."""
    estimate: Estimate | None = None
    """Of the very run, as it was shown."""
    step_seconds: float | None = None


Train = Callable[[TrainingStart], Session]


class ScreenOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Chosen by the command that opens the screen."""

    rate_hz: float = 2.0
    """Redraws of changing numbers a second; charts and devices at most once a second."""
    slow_link: bool = False
    """The connection was said to be slow: few colours, few charts, a smaller budget of bytes."""
    mouse: bool = True
    """Whether the terminal sends mouse events from the start."""
    ascii: bool = False
    """Every sign is sent as an ASCII stand-in."""
    titles: bool = False
    """Whether the terminal has a window with a title."""
    theme: str = ""
    """Asked for by name; empty: what suits the terminal."""
    read_only: bool = False
    """A finished run or a replay: commands are refused with a notice."""
    start_screen: StartScreen = "monitor"
    train: Train | None = None
    """Starts a training; None where that cannot be done from here."""
    plan: Callable[[Settings, bool], Session] | None = None
    """Starts the making of a plan for these settings; True: profiles may be measured, which needs the device alone.
    None where that cannot be done from here."""
    runs: Path | None = None
    """Folder of the runs, for the list of them; None where only this one is shown."""
    choose: bool = False
    """Whether the list of runs is opened at once, to choose from."""
    keymap: dict[str, str] = {}
    """Keys by the ids of the key table, instead of its own."""
    warnings: tuple[str, ...] = ()
    """Said when the screen opens, such as what is wrong with the keymap file."""
    clock: Callable[[], float] = time.time
    """Wall clock in seconds since the epoch; tests fix it."""
