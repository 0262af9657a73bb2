"""Whether a training ends inside its window: one verdict for everybody, in progress with hysteresis, to be read."""

from __future__ import annotations

import math
from typing import Literal

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.events import EndReason, Verdict
from speedtui.engine.plan_types import Fit

FinalVerdict = Literal["on_track", "tight", "late"]
"""Inside the margin; before the deadline; after it, or with steps left when it came."""
STEADY, STEADY_SHARE = 20, 0.05
"""Steps before there is a verdict, or this share of a short run (measurement.md)."""
FLIP_SECONDS = 30.0
"""A verdict holds at least this long."""
FITS: dict[Verdict, Fit] = {"on_track": "fits", "tight": "tight", "late": "late", "measuring": "unknown"}
"""What a plan calls it."""
DECIDING = {"evaluations", "answers", "the metric"}
"""What an estimate may leave out and nobody can say how much that is; a checkpoint is a matter of seconds."""


def steps_needed(total_steps: int) -> int:
    """Measured steps before there is a verdict on a run of so many."""
    return min(STEADY, max(math.ceil(STEADY_SHARE * total_steps), 2))


def steady_enough(steps: int, total_steps: int) -> bool:
    """Whether so many measured steps are enough to judge by."""
    return steps >= steps_needed(total_steps)


def judge(finish_p50: float, finish_p90: float, window: Window) -> FinalVerdict:
    """The one verdict on a finish (measurement.md), of a plan, of a run in progress and of one that has ended.

    On track where its P90 leaves the margin, late where its P50 comes after the deadline, tight in between: more
    likely in time than not, and no promise. Wall clock, seconds since the epoch.
    """
    if finish_p50 > window.deadline:
        return "late"
    return "on_track" if finish_p90 <= window.safe_until else "tight"


def judge_ended(ended: float, window: Window, reason: EndReason = "steps") -> FinalVerdict:
    """The same of a finish that is known to the second; a training that ended for the deadline is late: it is not
    done."""
    return "late" if reason == "deadline" else judge(ended, ended, window)


def judge_finish(now: float, estimate: Estimate | None, window: Window | None) -> Fit:
    """The verdict on a run that starts at `now` (wall clock, seconds since the epoch); one on track fits.

    Where the estimate leaves something out that nobody measured, it may be late all the same, and never fits or is
    tight: that is unknown.
    """
    if estimate is None or window is None:
        return "unknown"
    fit = FITS[judge(now + estimate.p50_seconds, now + estimate.p90_seconds, window)]
    return "unknown" if DECIDING & set(estimate.unmeasured) and fit != "late" else fit


def spare_seconds(now: float, estimate: Estimate | None, window: Window | None) -> float | None:
    """From the P50 finish to the latest safe one, negative where it is later; None without an estimate or a window."""
    if estimate is None or window is None:
        return None
    return window.safe_until - now - estimate.p50_seconds


def safe_room_seconds(now: float, estimate: Estimate, window: Window) -> float:
    """From the P90 finish to the latest safe one: at or above zero it fits."""
    return window.safe_until - now - estimate.p90_seconds


class SteadyVerdict:
    """The last verdict, changed no more than once in `FLIP_SECONDS` unless the wall clock was moved under it."""

    def __init__(self) -> None:
        self._verdict: Verdict = "measuring"
        self._since = -math.inf
        self._zero = 0.0

    def take(self, wanted: Verdict, t: float, zero: float = 0.0) -> Verdict:
        """What to say at `t`, in seconds on any clock; the first one after measuring is said at once, as is the first
        after a move. `zero`: what the wall clock showed at t = 0."""
        if zero != self._zero:
            self._since, self._zero = -math.inf, zero
        held = FLIP_SECONDS if self._verdict != "measuring" else 0.0
        if wanted not in (self._verdict, "measuring") and t - self._since >= held:
            self._verdict, self._since = wanted, t
        return self._verdict
