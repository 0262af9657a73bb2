"""A line in which a person types."""

from __future__ import annotations

from textual.suggester import Suggester
from textual.widgets import Input

from speedtui.engine.clean import UNBOUNDED, clean


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
