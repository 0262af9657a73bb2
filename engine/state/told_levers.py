"""What was told of a training that is late, so that it is told again only where it has become something else."""

from __future__ import annotations

from speedtui.engine import events as e

SHORTER = 0.5
"""By which share a shortage has to become another one before the same lever is told again."""


class ToldLever:
    """Remembers the lever that was told last, and for which shortage."""

    def __init__(self) -> None:
        self._lever, self._short = "", 0.0

    def again(self, event: e.AnyEvent) -> bool:
        """Whether the same lever was told last, for about the same shortage: a line more would say nothing new."""
        if not isinstance(event, e.LeversFound):
            return False
        lever = event.levers[0].lever if event.levers else ""
        if lever and lever == self._lever and abs(event.short_seconds - self._short) <= SHORTER * self._short:
            return True
        self._lever, self._short = lever, event.short_seconds
        return False
