"""Tells keys that a person presses from text that is pasted into a terminal that does not say so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.events import Key

TOGETHER_SECONDS = 0.01
"""Between two keys that come in one piece; a key that is held down repeats every 30 ms, and nobody types faster.
Each key waits so long before it acts."""
PASTED = 3
"""Characters that come in one piece, not all the same, from which on they are pasted: two can be hit together."""
WRITTEN = {"enter": "\n", "ctrl+j": "\n", "tab": "\t", "space": " "}
"""Keys that a text has, too, by the names that they have then."""


class TypedKeys:
    """Holds keys back until it is known whether more come with them. Lives in the app's loop."""

    def __init__(self, pass_on: Callable[[Key], None], ignore: Callable[[int], None]) -> None:
        """`pass_on` takes what was typed, `ignore` how many characters were not."""
        self._pass_on, self._ignore = pass_on, ignore
        self._held: list[Key] = []
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, key: Key) -> None:
        """Takes a key as it arrives; when it was read says what it came with, however late it is heard."""
        if self._held and key.time - self._held[-1].time > TOGETHER_SECONDS:
            self.decide()
        self._held.append(key)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self.decide)

    def decide(self) -> None:
        """On the keys that are held: nothing comes with them any more."""
        if self._timer is not None:
            self._timer.cancel()
        held, self._held, self._timer = self._held, [], None
        count = pasted_characters(held)
        if count:
            self._ignore(count)
            return
        for key in held:
            self._pass_on(key)


def pasted_characters(keys: list[Key]) -> int:
    """How many characters a text in these keys has, which came together; 0 where they were typed."""
    text = [text for key in keys if (text := _text_of(key))]
    return len(text) if len(text) >= PASTED and len(set(text)) > 1 else 0


def _text_of(key: Key) -> str:
    if key.is_printable and key.character:
        return key.character
    return WRITTEN.get(key.key, "")
