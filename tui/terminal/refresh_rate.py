"""How often the screen is redrawn: chosen with two keys, stepped down by itself on a slow connection."""

from __future__ import annotations

import math
from collections import deque
from typing import Literal

RATES_HZ = (5.0, 2.0, 1.0, 0.5, 0.2)
"""Above 5 Hz a screen is no easier to read and costs the training a few per cent (measured)."""
BACKLOG = 5
"""Frames that wait to be written; a terminal that keeps up has one or two."""
CLEAN_TICKS = 10
"""Without a backlog before the rate goes up again."""
MEASURED_TICKS = 2
"""The same where the traffic was too much: what it is now has been counted for seconds before the rate goes up."""
SLOW_PANES_HZ = 1.0
"""Charts and devices: their sources change no faster."""
SLOWEST_PANES_HZ = 0.2
"""The same on a slow connection."""
BUDGET_BYTES_PER_SECOND = 8 * 1024.0
"""At 2 Hz and below; a person who asks for a higher rate asks for more. A screen of 140x40 takes about as much."""
SLOW_BUDGET_BYTES_PER_SECOND = 2 * 1024.0
"""On a connection that was said to be slow."""
BUDGET_HZ = 2.0
WINDOW_SECONDS = 5.0
"""Over which traffic is counted: one large frame is no trend."""

ASKED_SECONDS = 1.0
"""After a screen was asked for, in which what is sent is not counted: it is drawn in full, once."""

HeldBack = Literal["", "slow link", "traffic limit"]


class Traffic:
    """Bytes a second, from a counter that only grows."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self._deaf_until = -math.inf

    def count(self, now: float, written_bytes: int) -> None:
        """`now`: monotonic seconds; `written_bytes`: since the start."""
        if now < self._deaf_until:
            self._seen.clear()
        self._seen.append((now, written_bytes))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_SECONDS:
            self._seen.popleft()

    def forget(self) -> None:
        """What was sent so far is no measure of what comes."""
        self._seen.clear()

    def excuse(self, now: float) -> None:
        """What comes next was asked for: a screen drawn in full is no trend."""
        self.forget()
        self._deaf_until = now + ASKED_SECONDS

    @property
    def bytes_per_second(self) -> float | None:
        """Over the last seconds; None until as many have passed."""
        if len(self._seen) < 2:
            return None
        (start, before), (end, after) = self._seen[0], self._seen[-1]
        return (after - before) / (end - start) if end - start >= WINDOW_SECONDS else None

    @property
    def kib_per_second(self) -> int | None:
        """The same for a person: whole KiB, so that it seldom changes."""
        known = self.bytes_per_second
        return round(known / 1024) if known is not None else None


class RefreshRate:
    """Decides at each tick whether to draw, and what."""

    def __init__(self, rate_hz: float, *, slow: bool = False) -> None:
        """`slow`: the connection was said to be slow."""
        self._chosen = min(range(len(RATES_HZ)), key=lambda i: abs(RATES_HZ[i] - rate_hz))
        self._slow = slow
        self._held_back = 0
        """Steps below the chosen rate."""
        self.held_back_by: HeldBack = ""
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

    @property
    def budget_bytes_per_second(self) -> float:
        """What may be sent at the chosen rate."""
        budget = SLOW_BUDGET_BYTES_PER_SECOND if self._slow else BUDGET_BYTES_PER_SECOND
        return budget * max(1.0, RATES_HZ[self._chosen] / BUDGET_HZ)

    def change(self, steps: int) -> None:
        """A person asks for slower (positive) or faster."""
        self._chosen = min(len(RATES_HZ) - 1, max(0, self._chosen + steps))
        self._held_back, self._clean, self.held_back_by = 0, 0, ""

    def tick(self, backlog: int, bytes_per_second: float | None = None) -> bool:
        """Whether this tick may draw; with a backlog it is skipped, and with that or too much traffic the rate goes
        down."""
        if backlog > BACKLOG:
            self._step_down("slow link")
            return False
        if bytes_per_second is not None and bytes_per_second > self.budget_bytes_per_second:
            self._step_down("traffic limit")
        else:
            self._clean += 1
            self._come_back(bytes_per_second)
        self._ticks += 1
        return True

    def _step_down(self, reason: HeldBack) -> None:
        self._clean = 0
        if self.rate_hz > RATES_HZ[-1]:
            self._held_back += 1
            self.held_back_by = reason

    def _come_back(self, bytes_per_second: float | None) -> None:
        """A step up once the terminal has kept up for a while; where the traffic was too much, as far as it allows."""
        if self.held_back_by == "slow link" and self._clean >= CLEAN_TICKS:
            self._held_back -= 1
        elif self.held_back_by and bytes_per_second is not None and self._clean >= MEASURED_TICKS:
            self._held_back = self._least_held_back(bytes_per_second)
        else:
            return
        self._clean = 0
        if not self._held_back:
            self.held_back_by = ""

    def _least_held_back(self, bytes_per_second: float) -> int:
        """Steps below the chosen rate that keep within the budget, going by what is sent at this one."""
        a_redraw = bytes_per_second / self.rate_hz
        above = range(self._held_back)
        within = (i for i in above if a_redraw * RATES_HZ[self._chosen + i] <= self.budget_bytes_per_second)
        return next(within, self._held_back)

    def slow_panes_due(self) -> bool:
        """Whether charts and devices are drawn at this tick."""
        hz = SLOWEST_PANES_HZ if self._slow or self.held_back_by == "slow link" else SLOW_PANES_HZ
        return self._ticks % max(1, math.ceil(self.rate_hz / hz - 1e-9)) == 0

    def numbers_due(self, measuring: bool) -> bool:
        """Whether numbers are drawn: once a second at most while a trial is measured."""
        return not measuring or self.slow_panes_due()
