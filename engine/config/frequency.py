"""How often something happens: `200 steps`, `1 epoch`, `30m`, `never`."""

from __future__ import annotations

import re

import msgspec

from speedtui.engine.units import duration_text, parse_duration

MOST_DIGITS = 18
"""Of a count: a longer one is beyond 64 bits."""
_COUNTED = re.compile(r"(\d+(?:\.\d+)?)\s*(steps?|epochs?)")


class Frequency(msgspec.Struct, frozen=True, kw_only=True):
    """At most one of the three is set; none of them means never."""

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None


def parse_frequency(text: str) -> Frequency:
    """Reads a frequency.

    Raises:
        ValueError: it is none, or zero.
    """
    compact = text.strip()
    if compact == "never":
        return Frequency()
    match = _COUNTED.fullmatch(compact)
    if match is not None and len(match[1]) <= MOST_DIGITS:
        count = float(match[1])
        if count > 0 and match[2].startswith("epoch"):
            return Frequency(epochs=count)
        if count >= 1 and count == int(count):
            return Frequency(steps=int(count))
    elif match is None:
        try:
            return Frequency(seconds=parse_duration(compact))
        except ValueError:
            pass
    raise ValueError(f"expected 200 steps, 1 epoch, 30m or never, got {text!r}")


def frequency_text(frequency: Frequency) -> str:
    """What `parse_frequency` reads back; a stretch of time to the second."""
    if frequency.steps is not None:
        return "1 step" if frequency.steps == 1 else f"{frequency.steps} steps"
    if frequency.epochs is not None:
        return f"{frequency.epochs:g} epoch" if frequency.epochs == 1 else f"{frequency.epochs:g} epochs"
    return "never" if frequency.seconds is None else duration_text(round(frequency.seconds))
