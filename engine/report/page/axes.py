"""Scales of charts: from values to places, with ticks at round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from speedtui.engine.units import format_count, format_figure, format_seconds, format_span, format_ticks

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Seconds between ticks that people read at a glance."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """Maps values onto a stretch of the drawing."""

    low: float
    high: float
    start: float
    """Where `low` is drawn."""
    end: float

    def at(self, value: float) -> float:
        """The place of a value; beyond an end it is that end's."""
        span = self.high - self.low
        share = (min(self.high, max(self.low, value)) - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that makes at most `most` steps of a span above zero."""
    raw = span / most
    power = 10.0 ** math.floor(math.log10(raw))
    return next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values inside a stretch; its one value where it has no length."""
    if high <= low:
        return [low]
    step = round_step(high - low, most)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


def time_ticks(seconds: float, most: int) -> list[float]:
    """From 0 on, at stretches of time that people read at a glance; beyond days, at whole days."""
    step = next((s for s in TIME_STEPS if seconds / s <= most), 0) or 86400 * math.ceil(seconds / 86400 / most)
    return [float(i * step) for i in range(int(seconds / step) + 1)]


def time_label(seconds: float) -> str:
    """`0`, `30s`, `5m`, `2h`, `2h 30m`."""
    text = format_span(seconds)
    return "0" if not seconds else text.replace("h 00m", "h").replace("m 00s", "m").replace("d 00h", "d")


def value_scale(values: Sequence[float], start: float, end: float, *, from_zero: bool = False) -> Scale:
    """A little beyond the values on both sides; from zero on where asked for."""
    low, high = (0.0 if from_zero else min(values)), max(values)
    room = (high - low or abs(high) or 1.0) * 0.06
    return Scale(low=low if from_zero else low - room, high=high + room, start=start, end=end)


def number_labels(values: Sequence[float]) -> list[str]:
    """With as many places as it takes to tell them apart."""
    gap = min((b - a for a, b in pairwise(values)), default=0.0)
    largest = max((abs(value) for value in values), default=0.0)
    if not gap:
        return [format_figure(value) for value in values]
    if largest >= 1e9 or gap < 1e-4:
        return format_ticks(values, gap)
    if largest >= 10_000:
        return [format_count(value) for value in values]
    places = max(0, -math.floor(math.log10(gap) + 1e-9))
    if places and round(gap * 10**places, 6) != round(gap * 10**places):  # steps of 2.5
        places += 1
    return [f"{value:,.{places}f}" for value in values]


def seconds_labels(values: Sequence[float]) -> list[str]:
    """Of short times."""
    return ["0" if not value else format_seconds(value) for value in values]
