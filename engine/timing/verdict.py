"""Whether a training in progress ends inside its window: said with hysteresis, so that it can be read."""

from __future__ import annotations

import math

from speedtui.engine.config.window import Window
from speedtui.engine.events import Verdict

STEADY, STEADY_SHARE = 20, 0.05
"""Steps before there is a verdict, or this share of a short run (measurement.md)."""
FLIP_SECONDS = 30.0
"""A verdict holds at least this long."""


def steps_needed(total_steps: int) -> int:
    """Measured steps before there is a verdict on a run of so many."""
    return min(STEADY, max(math.ceil(STEADY_SHARE * total_steps), 2))


def steady_enough(steps: int, total_steps: int) -> bool:
    """Whether so many measured steps are enough to judge by."""
    return steps >= steps_needed(total_steps)


def judge(finish_p50: float, finish_p90: float, window: Window) -> Verdict:
    """Wall-clock finishes against the window: inside the margin at P90, at all at P50, or neither."""
    if finish_p50 > window.deadline:
        return "late"
    return "on_track" if finish_p90 <= window.safe_until else "tight"


class Held:
    """The last verdict, changed no more than once in `FLIP_SECONDS`."""

    def __init__(self) -> None:
        self._verdict: Verdict = "measuring"
        self._since = -math.inf

    def take(self, wanted: Verdict, t: float) -> Verdict:
        """What to say at `t`, in seconds on any clock; the first one after measuring is said at once."""
        held = FLIP_SECONDS if self._verdict != "measuring" else 0.0
        if wanted not in (self._verdict, "measuring") and t - self._since >= held:
            self._verdict, self._since = wanted, t
        return self._verdict
