"""Axes of charts: from where to where, with ticks at round numbers and equally far apart.

An axis is widened in steps, so that a new value changes a few cells of a chart and not every row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from speedtui.engine.units import exponent_of, format_ticks

EDGE_STEPS = 2
"""An axis begins at a half of its tick step: near enough to the values, and seldom moved."""
NEAR = 1e-6
"""Of a cell, by which a value may miss it in its last digits."""
TICK_ROWS = range(1, 9)
"""Rows from one tick to the next."""
DECADE_ROWS = 3
"""Of a tick on a log axis."""
LARGEST, DECADES, MOST_DECADES = 1e305, 305.0, 307.0
"""What lies beyond is drawn there: the span of an axis has to be a number."""


class Axis(NamedTuple):
    """A fixed range with its ticks."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False
    """Equal distances are equal ratios; `low` is above zero then."""

    def share(self, value: float) -> float:
        """How far along it a value lies: 0 at its low end, 1 at its high one."""
        if self.log:
            low, high = math.log10(self.low), math.log10(self.high)
            return (math.log10(value) - low) / (high - low) if value > 0 else -math.inf
        return (value - self.low) / (self.high - self.low)

    def place(self, value: float, count: int) -> int:
        """Number of the cell, of so many, that a value lies in; beyond an end it is the cell at that end."""
        return int(min(count - 1.0, max(0.0, self.share(value) * count + NEAR)))

    def value(self, cell: int, count: int) -> float:
        """The value in the middle of a cell."""
        return self.low + (cell + 0.5) / count * (self.high - self.low)


def nice_step(span: float, parts: float) -> float:
    """1, 2 or 5 times a power of ten, so that about `parts` of it make the span."""
    rough = span / max(1, parts)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def value_axis(values: Sequence[float], rows: int, *, parts: int, from_zero: bool = False) -> Axis:
    """An axis around the values for so many rows: about `parts` ticks, each as many rows from the next."""
    low, high = _ends(values, from_zero=from_zero)
    step, apart = _stepped(low, high, rows, parts)
    low = _begin(low, step)
    high = low + rows * step / apart
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ticks = [_exact(i * step) for i in numbers]
    return Axis(low, high, tuple(zip(ticks, format_ticks(ticks, step), strict=True)))


def log_axis(values: Sequence[float], rows: int) -> Axis:
    """The same for values above zero, with ticks at powers of ten; within one of them at round numbers."""
    low, high = (max(-DECADES, min(DECADES, math.log10(value))) for value in (min(values), max(values)))
    if high - low < 1:
        return _within_a_decade(10**low, 10**high)
    low = float(math.floor(low + 1e-9))
    parts = max(2, rows // DECADE_ROWS)
    step, apart = _shortest(low, high, rows, parts, [1, 2, 5, 10, 20, 50, 100, 200, 500], lambda _: low)
    high = min(MOST_DECADES, low + rows * step / apart)
    ticks = [low + i * step for i in range(rows // apart + 1) if low + i * step <= high]
    return Axis(10**low, 10**high, tuple((10**tick, _power(tick)) for tick in ticks), log=True)


def _power(exponent: float) -> str:
    return f"{10**exponent:g}" if -3 <= exponent <= 3 else f"1e{exponent:.0f}"


def _within_a_decade(low: float, high: float) -> Axis:
    step = nice_step(max(high - low, high / 2), 3)
    low, high = max(low / 2, math.floor(low / step) * step), (math.floor(high / step + 1e-9) + 1) * step
    ticks = [i * step for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]
    return Axis(low, high, tuple(zip(ticks, format_ticks(ticks, step), strict=True)), log=True)


def _ends(values: Sequence[float], *, from_zero: bool) -> tuple[float, float]:
    """The least and the greatest; around a single value there is room."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    low, high = max(low, -LARGEST), min(high, LARGEST)
    if from_zero:
        low = min(low, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return (0.0, high * 1.5) if high > 0 else (low - 0.5, high + 0.5)
    return low, high


def _stepped(low: float, high: float, rows: int, parts: int) -> tuple[float, int]:
    power = 10.0 ** exponent_of((high - low) / max(1, rows))
    steps = [factor * power * ten for ten in (1, 10) for factor in (1, 2, 5)]
    return _shortest(low, high, rows, parts, steps, lambda step: _begin(low, step))


def _begin(low: float, step: float) -> float:
    edge = step / EDGE_STEPS
    return _exact(math.floor(low / edge + 1e-9) * edge)


def _exact(value: float) -> float:
    """As it is written: a multiple of a tenth misses its place in the last digits."""
    return float(f"{value:.12g}")


def _shortest(
    low: float, high: float, rows: int, parts: int, steps: Sequence[float], begin: Callable[[float], float]
) -> tuple[float, int]:
    """(the tick step, its rows) with which an axis from where it begins is the least longer than what it shows, and
    its ticks are neither few nor many."""
    found = []
    for step in steps:
        for apart in TICK_ROWS:
            length = rows * step / apart
            if begin(step) + length >= high - 1e-9 * (high - low):
                found.append((abs(rows / apart - parts) > parts / 2, length, abs(rows / apart - parts), step, apart))
    *_, step, apart = min(found)
    return step, apart
