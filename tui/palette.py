"""What the command palette lists: every key's work by name, on this screen and on the others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, cast

from rich.cells import cell_len
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from speedtui.tui.base_app import BaseApp
from speedtui.tui.keys import Key, keys_of
from speedtui.tui.keys.table import SCREENS

NOT_LISTED = ("screen.palette",)
"""It is open already."""
KEY_SCORE = 1e3
"""Of the command whose key is typed; above any that its words can have."""
BESIDE_CELLS = 6
"""Of a row of the palette that hold no text: its edges, its padding, and the bar that scrolls it."""


class PaletteCommand(NamedTuple):
    """One line of the palette."""

    words: str
    key: str
    """As people read it; empty where there is none."""
    run: Callable[[], Awaitable[None]] | Callable[[], None]
    weight: float
    """Of what is found by typing: this screen's commands stand before those of others that match as well."""


class KeyCommands(Provider):
    """The commands of the key table, each in one line: what it does, and the key that does it."""

    async def discover(self) -> Hits:
        for command in palette_commands(cast(BaseApp, self.app)):
            yield DiscoveryHit(self._line(Content(command.words), command.key), command.run, text=command.words)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for command in palette_commands(cast(BaseApp, self.app)):
            score = KEY_SCORE if query in command.key.split() else matcher.match(command.words)
            if score > 0:
                words = matcher.highlight(command.words)
                yield Hit(score * command.weight, self._line(words, command.key), command.run, text=command.words)

    def _line(self, words: Content, key: str) -> Any:
        room = self.app.size.width - BESIDE_CELLS - words.cell_length - cell_len(key)
        return Content.assemble(words, " " * max(2, room), (key, "dim"))


def palette_commands(app: BaseApp) -> Iterator[PaletteCommand]:
    """What does something now on this screen, then what does so everywhere, then what the other screens do; choosing
    one of those goes there first.
    """
    now = app.base.situation() if app.base is not None else None
    keymap = app.options.keymap
    for scope, weight in ((app.scope, 1.0), ("replay", 0.9), ("everywhere", 0.9)):
        for key in keys_of(scope, keymap):
            if key.id not in NOT_LISTED and (now is None or key.allowed(now)):
                yield PaletteCommand(key.help, key.shown, partial(_do, app, key), weight)
    yield PaletteCommand("choose a theme by name", "", app.action_change_theme, 0.9)
    for screen in SCREENS:
        if screen != app.scope:
            for key in keys_of(screen, keymap):
                shown = f"{1 + SCREENS.index(screen)} {key.shown}"
                words = f"{screen.capitalize()}: {key.help}"
                yield PaletteCommand(words, shown, partial(_do_there, app, screen, key), 0.7)


async def _do(app: BaseApp, key: Key) -> None:
    """What the key does; `screen.` and bare names of a screen's own keys mean the screen in front."""
    await app.run_action(key.action, app if key.scope in ("replay", "everywhere") else app.screen)


async def _do_there(app: BaseApp, screen: str, key: Key) -> None:
    """Goes to the screen first; says so where the key does nothing there now."""
    await app.switch_mode(screen)
    app.drawing.now()
    view = app.view
    now = view.situation() if view is not None else None
    if now is not None and not key.allowed(now):
        app.notify(f"{key.help}: does nothing now.", severity="warning")
        return
    await _do(app, key)
