"""A line in which a person types, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual.suggester import Suggester
from textual.widgets import Input, Static

from speedtui.engine.clean import UNBOUNDED, clean
from speedtui.engine.errors import SpeedtuiError

Found = TypeVar("Found")


class CleanInput(Input):
    """Shows all that it holds: what is pasted into it may hold more than is seen, and Textual would draw that as it is.

    Such characters become text, as `clean` writes them, so that they can be seen and taken out.
    """

    def __init__(self, text: str = "", *, placeholder: str = "", suggester: Suggester | None = None) -> None:
        """`text`: what stands in it at first; `suggester`: completes what is typed."""
        super().__init__(text, placeholder=placeholder, suggester=suggester, compact=True, select_on_focus=False)

    def validate_value(self, value: str) -> str:
        """Called by Textual with each new value."""
        return clean(value, UNBOUNDED)


def say_checked(message: Static, check: Callable[[], tuple[Found, str]]) -> Found | None:
    """What was typed; None where it cannot be used. The message says what it comes to, or why not."""
    try:
        found, words = check()
    except SpeedtuiError as error:
        more = f"\n  {clean(error.hint)}" if error.hint else ""
        message.update(f"✗ {clean(error.message)}{more}")
        message.set_class(True, "-wrong")
        return None
    message.set_class(False, "-wrong")
    message.update(f"✓ {clean(words)}")
    return found
