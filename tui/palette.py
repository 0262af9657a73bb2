"""What the command palette lists: every key's work by name, on this screen and on the others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from textual.app import SystemCommand

from speedtui.tui.keys import Key, keys_of
from speedtui.tui.keys.table import SCREENS
from speedtui.tui.screens.view import View

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp

NOT_LISTED = ("screen.palette",)
"""It is open already."""


def palette_commands(app: SpeedtuiApp) -> Iterator[SystemCommand]:
    """What does something now on this screen, then what the other screens do; choosing that goes there first."""
    view = _below(app)
    now = view.situation() if view is not None else None
    keymap = app.options.keymap
    for scope in (app.scope, "replay", "everywhere"):
        for key in keys_of(scope, keymap):
            if key.id not in NOT_LISTED and (now is None or key.allowed(now)):
                yield SystemCommand(key.help, f"key {key.shown}", partial(_do, app, key))
    for screen in SCREENS:
        if screen != app.scope:
            for key in keys_of(screen, keymap):
                what = f"{screen.capitalize()}: {key.help}"
                yield SystemCommand(what, f"goes to the {screen.capitalize()}, then {key.shown}",
                                    partial(_do_there, app, screen, key))  # fmt: skip
    yield SystemCommand("choose a theme", "all themes by name", app.action_change_theme)


def _below(app: SpeedtuiApp) -> View | None:
    """The full screen that the palette was opened on."""
    base = app.screen_stack[0]
    return base if isinstance(base, View) else None


async def _do(app: SpeedtuiApp, key: Key) -> None:
    """What the key does; `screen.` and bare names of a screen's own keys mean the screen in front."""
    await app.run_action(key.action, app if key.scope in ("replay", "everywhere") else app.screen)


async def _do_there(app: SpeedtuiApp, screen: str, key: Key) -> None:
    """Goes to the screen first; says so where the key does nothing there now."""
    await app.switch_mode(screen)
    app.draw_now()
    view = app.view
    now = view.situation() if view is not None else None
    if now is not None and not key.allowed(now):
        app.notify(f"{key.help}: does nothing now.", severity="warning")
        return
    await _do(app, key)
