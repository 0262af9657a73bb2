"""What stands between Textual and the terminal: counts what is sent, never waits for a terminal that takes nothing,
and puts everything back at the end."""

from __future__ import annotations

import asyncio
import signal
from queue import Full
from typing import Any, cast

from textual.app import App
from textual.events import Key
from textual.message import Message

from speedtui.engine.clean import clean
from speedtui.tui.drawing.ascii import to_ascii
from speedtui.tui.protocols import TerminalUse
from speedtui.tui.terminal.process import stop_group
from speedtui.tui.terminal.typed_keys import TypedKeys
from speedtui.tui.textual_privates import PatchedDriver, driver_of

PATIENCE_SECONDS = 0.2
"""For a terminal that is behind; the loop stands still meanwhile."""
LAST_PATIENCE_SECONDS = 1.0
"""At the end, for the sequences that put the terminal back."""
MOUSE_MODES = (1000, 1002, 1003, 1015, 1006)
"""Buttons, dragging, every move, and two ways to report them beyond column 223."""
SAVE_TITLE, RESTORE_TITLE = "\x1b[22;0t", "\x1b[23;0t"
BELL = "\a"


class TerminalDriver(PatchedDriver):
    """The driver of a real terminal."""

    written_bytes = 0
    """Since the start."""
    lost_output = False
    """Something was left out because the terminal took nothing: what it shows is no longer known."""
    stuck = False
    """The terminal took nothing even at the end."""
    closed = False
    """The terminal is as it was; what runs on in this process shows nothing any more."""
    _closing = _suspending = False

    def __init__(
        self, app: App[Any], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
    ) -> None:
        """`size`: columns and rows; None asks the terminal."""
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        self._app_loop = asyncio.get_running_loop()
        self._speedtui = cast(TerminalUse, app)
        self._typed = TypedKeys(super().process_message, self._speedtui.ignore_pasted)
        signal.signal(signal.SIGTSTP, self._stop)

    @property
    def backlog(self) -> int:
        """Writes that wait for the terminal."""
        return self.write_queue.qsize() if self.write_queue is not None else 0

    def process_message(self, message: Message) -> None:
        """Keys wait for those that come with them, unless a field takes them. Called by the thread that reads."""
        if isinstance(message, Key):
            self._app_loop.call_soon_threadsafe(self._hear, message)
        else:
            super().process_message(message)

    def _hear(self, key: Key) -> None:
        field = self._speedtui.focused
        if field is not None and field.check_consume_key(key.key, key.character):
            self._typed.decide()
            super().process_message(key)
        else:
            self._typed.hear(key)

    def write(self, data: str) -> None:
        """Sends this to the terminal, or drops it where nothing has been taken for a while."""
        queue = self.write_queue
        if queue is None:
            return  # a late answer to a key; the terminal is put back already
        if self._speedtui.options.ascii:
            data = to_ascii(data)
        try:
            queue.put(data, timeout=self._patience)
        except Full:
            self.lost_output = True
        else:
            self.written_bytes += len(data) if data.isascii() else len(data.encode("utf-8", "replace"))

    @property
    def _patience(self) -> float:
        """Seconds, above zero: a queue takes zero for no limit of its own kind."""
        if self.lost_output:
            return 1e-3
        return LAST_PATIENCE_SECONDS if self._closing else PATIENCE_SECONDS

    def start_application_mode(self) -> None:
        """Takes the terminal over."""
        self._closing = self.closed = False
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if self._speedtui.options.titles:
            self.write(SAVE_TITLE)

    def stop_application_mode(self) -> None:
        """Puts it back as it was."""
        self._closing = True
        self.set_mouse(False)
        if self._speedtui.options.titles:
            self.write(RESTORE_TITLE)
        super().stop_application_mode()

    def close(self) -> None:
        """Waits until all is sent, but not for ever."""
        if self.writer is not None and self.write_queue is not None:
            try:
                self.write_queue.put(None, timeout=LAST_PATIENCE_SECONDS)
            except Full:
                self.stuck = True
            else:
                self.writer.join(LAST_PATIENCE_SECONDS)
                self.stuck = self.writer.is_alive()
        self.closed = True
        if not self._suspending:
            self._speedtui.quitting.tell_of_waiting()

    def _stop(self, *_: object) -> None:
        """The terminal is given back before the shell takes it."""
        self.suspend_application_mode()
        stop_group()

    def suspend_application_mode(self) -> None:
        """Gives the terminal back for a while."""
        self._suspending = True
        super().suspend_application_mode()

    def resume_application_mode(self) -> None:
        """Takes it over again, and draws everything: what was on it is gone."""
        self._suspending = False
        super().resume_application_mode()
        self._app_loop.call_soon_threadsafe(self._speedtui.drawing.repaint)

    def set_mouse(self, on: bool) -> None:
        """Has it send them, or no more."""
        self.mouse = on
        modes = (1000, 1003, 1015, 1006) if on else MOUSE_MODES
        self.write("".join(f"\x1b[?{mode}{'h' if on else 'l'}" for mode in modes))

    def set_title(self, text: str) -> None:
        """Names the window; a control character would end the sequence early."""
        self.write(f"\x1b]2;{clean(text)}{BELL}")

    def clear(self) -> None:
        """Wipes the screen, whatever was written over it."""
        self.write("\x1b[0m\x1b[2J")


def terminal_of(app: App[Any]) -> TerminalDriver | None:
    """The real terminal's driver; None in a browser or a test, and before the app runs."""
    driver = driver_of(app)
    return driver if isinstance(driver, TerminalDriver) else None
