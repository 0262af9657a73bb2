"""What a reader of a log could not use: never left unsaid, since all that is shown rests on the rest."""

from __future__ import annotations

import msgspec

from speedtui.engine.units import format_size, plural


class PassedOver(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a log that told nothing."""

    lines: int = 0
    """Torn, overlong or no event; empty ones are none."""
    bytes: int = 0
    """Of those lines, without their newlines."""
    newer: int = 0
    """Lines besides that a newer version wrote: whole, and not understood."""

    def __bool__(self) -> bool:
        return bool(self.lines or self.newer)

    def __add__(self, other: PassedOver) -> PassedOver:
        return PassedOver(
            lines=self.lines + other.lines, bytes=self.bytes + other.bytes, newer=self.newer + other.newer
        )

    @property
    def words(self) -> str:
        """One line for a person; empty where nothing was passed over."""
        parts = []
        if self.lines:
            size = plural(self.bytes, "byte") if self.bytes < 1 << 10 else format_size(self.bytes)
            parts.append(f"{plural(self.lines, 'damaged line')} of the log ({size}) passed over")
        if self.newer:
            parts.append(f"written by a newer speedtui: {plural(self.newer, 'line')} not understood")
        return "; ".join(parts)
