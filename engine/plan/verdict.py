"""Whether a finish lies inside the window."""

from __future__ import annotations

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.planned import Fit


def judge_finish(now: float, estimate: Estimate | None, window: Window | None) -> Fit:
    """How a run that starts at `now` (wall clock, seconds since the epoch) ends against the window.

    It fits when its P90 finish leaves the margin. It is tight when its P50 does and its P90 does not, or when its
    P90 at least comes before the deadline. Otherwise it is late.
    """
    if estimate is None or window is None:
        return "unknown"
    p50, p90 = now + estimate.p50_seconds, now + estimate.p90_seconds
    if p90 <= window.safe_until:
        return "fits"
    return "tight" if p50 <= window.safe_until or p90 <= window.deadline else "late"


def spare_seconds(now: float, estimate: Estimate | None, window: Window | None) -> float | None:
    """From the P50 finish to the latest safe one, negative where it is later; None without an estimate or a window."""
    if estimate is None or window is None:
        return None
    return window.safe_until - now - estimate.p50_seconds


def safe_room_seconds(now: float, estimate: Estimate, window: Window) -> float:
    """From the P90 finish to the latest safe one: at or above zero it fits."""
    return window.safe_until - now - estimate.p90_seconds
