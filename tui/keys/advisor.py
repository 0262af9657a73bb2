"""The Advisor: what would make it faster."""

from __future__ import annotations

from functools import partial

from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import levers, next_differs, study_open


def takeable(now: Situation) -> bool:
    """The strategy under the cursor can go to the next run."""
    return now.strategy is not None and now.strategy.state not in ("applied", "not_possible") and not now.taken


def probeable(now: Situation) -> bool:
    """The strategy under the cursor can be tried: nothing tells already that it cannot."""
    return (
        study_open(now) and now.strategy is not None and now.strategy.state not in ("applied", "queued", "not_possible")
    )


key = partial(Key, scope="advisor")

ADVISOR = (
    key("advisor.apply", "enter,space", "take", "take for next run; space", label="take", allowed=takeable),
    key("advisor.undo", "u", "untake", "take it back, or undo", label="undo", allowed=next_differs),
    key("advisor.probe", "b", "probe", "try it now, as a trial", label="probe", allowed=probeable, live=True),
    key("advisor.probe_all", "B", "probe_all", "try all that are unmeasured", label="probe all", allowed=study_open,
        live=True),
    key("advisor.levers", "l", "levers", "help for a late run (asks)", label="levers", allowed=levers, live=True),
    key("advisor.difference", "v", "difference", "what the next run changes", label="diff"),
    key("advisor.report", "w", "report", "write report.md for the run", label="report"),
    key("advisor.sort", "o", "sort", "sort by another column", label="sort"),
)  # fmt: skip
