"""How often the screen is redrawn: chosen with two keys, stepped down by itself on a slow connection."""

from __future__ import annotations

RATES_HZ = (5.0, 2.0, 1.0, 0.5, 0.2)
"""Above 5 Hz a screen is no easier to read and costs the training a few per cent (measured)."""
BACKLOG = 5
"""Frames that wait to be written; a terminal that keeps up has one or two."""
CLEAN_TICKS = 10
"""Without a backlog before the rate goes up again."""
SLOW_PANES_HZ = 1.0
"""Charts and devices: their sources change no faster."""


class Pace:
    """Decides at each tick whether to draw, and what."""

    def __init__(self, rate_hz: float) -> None:
        self._chosen = min(range(len(RATES_HZ)), key=lambda i: abs(RATES_HZ[i] - rate_hz))
        self._held_back = 0
        """Steps below the chosen rate, because the terminal is slow."""
        self._clean = 0
        self._ticks = 0

    @property
    def rate_hz(self) -> float:
        """Ticks a second now."""
        return RATES_HZ[min(len(RATES_HZ) - 1, self._chosen + self._held_back)]

    @property
    def slow_link(self) -> bool:
        """Whether the rate is below the chosen one."""
        return self._held_back > 0

    def change(self, steps: int) -> None:
        """A person asks for slower (positive) or faster."""
        self._chosen = min(len(RATES_HZ) - 1, max(0, self._chosen + steps))
        self._held_back = 0

    def tick(self, backlog: int) -> bool:
        """Whether this tick may draw; with a backlog it is skipped and the rate goes down."""
        if backlog > BACKLOG:
            self._clean = 0
            if self.rate_hz > RATES_HZ[-1]:
                self._held_back += 1
            return False
        self._clean += 1
        if self._held_back and self._clean >= CLEAN_TICKS:
            self._held_back -= 1
            self._clean = 0
        self._ticks += 1
        return True

    def slow_panes_due(self) -> bool:
        """Whether charts and devices are drawn at this tick."""
        every = max(1, round(self.rate_hz / SLOW_PANES_HZ))
        return self._ticks % every == 0

    def numbers_due(self, measuring: bool) -> bool:
        """Whether numbers are drawn: once a second at most while a trial is measured."""
        return not measuring or self.slow_panes_due()
