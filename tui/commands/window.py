"""--window, --deadline and --margin: what was typed takes the place of what the file says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import resolve_window
from speedtui.engine.config.zone import LOCAL

F = TypeVar("F", bound=Callable[..., Any])


def window_options(function: F) -> F:
    """Adds the three options."""
    for option in (
        click.option("--margin", help="To be left of the window, such as 30m."),
        click.option(
            "--deadline", help="When it has to be done: 18:40, Fri 18:40, 2026-05-01 18:40, 09:00 Europe/Berlin."
        ),
        click.option("--window", help="The time there is, such as 12h."),
    ):
        function = option(function)
    return function


def window_flags(window: str | None, deadline: str | None, margin: str | None) -> dict[str, str | None]:
    """Settings by path: a typed length replaces the file's deadline, and a typed deadline its length."""
    typed = {"window.length": window, "window.deadline": deadline, "window.margin": margin}
    flags = {path: value for path, value in typed.items() if value is not None}
    if (window is None) != (deadline is None):
        return {**flags, "window.deadline" if deadline is None else "window.length": None}
    return dict(flags)


def refuse_bad_window(settings: Settings, flags: dict[str, str | None]) -> None:
    """Refuses what was typed, before anything is started.

    Raises:
        ConfigError: unreadable, in the past, or a margin that leaves nothing.
    """
    if flags:
        resolve_window(settings.window, datetime.now(LOCAL), "command line")
