"""Opens the screen on a session. Imports Textual only when called."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from speedtui.engine.errors import ExitCode
from speedtui.engine.session.base import Session
from speedtui.tui.options import ScreenOptions, StartScreen
from speedtui.tui.terminal.process import own_screen, signals_handled, terminal_gone

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp
    from speedtui.tui.terminal.driver import TerminalDriver

__all__ = ["ScreenOptions", "StartScreen", "show"]

QUIET = {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"}
"""Read by Textual when it is imported: no frames that carry no news."""
TURN_SECONDS = 0.0005
"""After which a thread that works lets another one have the interpreter. Python's own 5 ms are what a key waits several
times over for a job in a thread, or for a long log that is read; a training is no slower for it (measured)."""


def show(session: Session, *, options: ScreenOptions) -> ExitCode:
    """Shows the session until it is left. The session is run here, in a thread of the app.

    The result is the session's, DONE where it was detached from, or that of the signal that ended it.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    from speedtui.tui.app import SpeedtuiApp
    from speedtui.tui.keys.keymap import read_keymap
    from speedtui.tui.terminal.theme import ascii_only, has_titles

    keys = read_keymap()
    options = msgspec.structs.replace(
        options, ascii=options.ascii or ascii_only(os.environ), titles=has_titles(os.environ),
        keymap={**keys.keymap, **options.keymap}, warnings=(*options.warnings, *keys.problems),
    )  # fmt: skip
    app = SpeedtuiApp(session, options, terminal_gone=terminal_gone)
    with (
        own_screen(session.folder.screen_log),
        signals_handled(lambda code: _terminate(app, code), lambda: _in_loop(app, app.quitting.detach)),
    ):
        before = sys.getswitchinterval()
        sys.setswitchinterval(TURN_SECONDS)
        app.run(mouse=options.mouse)
        sys.setswitchinterval(before)
        _leave_stuck_terminal(app)
    return _exit_code(app)


def _terminate(app: SpeedtuiApp, code: ExitCode) -> None:
    """Once the screen is gone, a job in a thread of this process is all that is waited for: it cannot be killed."""
    terminal = _terminal(app)
    if terminal is not None and terminal.closed:
        os._exit(int(code))
    _in_loop(app, lambda: app.quitting.terminate(code))


def _in_loop(app: SpeedtuiApp, action: Callable[[], None]) -> None:
    """Signal handlers run between any two instructions; the app acts when its loop comes round."""
    if app.loop is None or app.loop.is_closed():
        raise SystemExit(int(ExitCode.TERMINATED))  # before the first frame or after the last
    app.loop.call_soon_threadsafe(action)


def _leave_stuck_terminal(app: SpeedtuiApp) -> None:
    """A terminal that takes nothing would hold this process for ever: nothing more can be said on it anyway."""
    terminal = _terminal(app)
    if terminal is not None and terminal.stuck:
        os._exit(int(_exit_code(app)))


def _terminal(app: SpeedtuiApp) -> TerminalDriver | None:
    from speedtui.tui.terminal.driver import terminal_of

    return terminal_of(app)


def _exit_code(app: SpeedtuiApp) -> ExitCode:
    if app.quitting.status is not None:
        return app.quitting.status
    if app.return_code:
        return ExitCode.FAILED  # the screen itself broke; Textual has printed why
    return app.front.exit_code if app.front.exit_code is not None else ExitCode.DONE
