"""What could not be read, and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from speedtui.engine.hardware.driver import DriverError, Lost, MissingFunction, NotSupported

T = TypeVar("T")


class Notes:
    """Sentences for people, each once. Any thread may read them while one adds."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Takes up a sentence that is not there yet."""
        text = text[0].upper() + text[1:]
        if text not in self._texts:
            self._texts.append(text)

    def all(self) -> tuple[str, ...]:
        """In the order in which they came up."""
        return tuple(self._texts)

    def ask(self, what: str, kind: str, which: str, read: Callable[[], T]) -> T | None:
        """What `read` answers, or None and a note.

        A value that a kind of device does not have is noted once for the `kind`; a failure for `which` device it was.

        Raises:
            Lost: the device does not answer any more, which is no matter of one value.
        """
        try:
            return read()
        except Lost:
            raise
        except MissingFunction as error:
            self.add(f"{what}: {error}.")
        except NotSupported as error:
            self.add(f"{what}: {error} by {kind}.")
        except DriverError as error:
            self.add(f"{what} of {which}: {error}.")
        return None
