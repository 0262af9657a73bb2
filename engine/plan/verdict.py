"""Whether a finish lies inside the window."""

from __future__ import annotations

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.planned import Fit

DECIDING = {"evaluations", "answers", "the metric"}
"""What an estimate may leave out and nobody can say how much that is; a checkpoint is a matter of seconds."""


def judge_finish(now: float, estimate: Estimate | None, window: Window | None) -> Fit:
    """How a run that starts at `now` (wall clock, seconds since the epoch) ends against the window.

    It fits when its P90 finish leaves the margin. It is tight when its P50 does and its P90 does not, or when its
    P90 at least comes before the deadline. Otherwise it is late. Where the estimate leaves something out that nobody
    measured, it may be late all the same, and never fits or is tight: that is unknown.
    """
    if estimate is None or window is None:
        return "unknown"
    p50, p90 = now + estimate.p50_seconds, now + estimate.p90_seconds
    late = not (p50 <= window.safe_until or p90 <= window.deadline)
    if DECIDING & set(estimate.unmeasured) and not late:
        return "unknown"
    if p90 <= window.safe_until:
        return "fits"
    return "late" if late else "tight"


def spare_seconds(now: float, estimate: Estimate | None, window: Window | None) -> float | None:
    """From the P50 finish to the latest safe one, negative where it is later; None without an estimate or a window."""
    if estimate is None or window is None:
        return None
    return window.safe_until - now - estimate.p50_seconds


def safe_room_seconds(now: float, estimate: Estimate, window: Window) -> float:
    """From the P90 finish to the latest safe one: at or above zero it fits."""
    return window.safe_until - now - estimate.p90_seconds
