"""The Advisor: what would make it faster."""

from __future__ import annotations

from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import levers, study_open


def takeable(now: Situation) -> bool:
    """The strategy under the cursor can go to the next run."""
    return now.strategy is not None and now.strategy.state not in ("applied", "not_possible") and not now.taken


def returnable(now: Situation) -> bool:
    """The next run differs from this one."""
    return now.next_differs


def probes(now: Situation) -> bool:
    """The study takes candidates."""
    return study_open(now)


def probeable(now: Situation) -> bool:
    """The strategy under the cursor can be tried: nothing tells already that it cannot."""
    return probes(now) and now.strategy is not None and now.strategy.state not in ("applied", "queued", "not_possible")


def has_strategy(now: Situation) -> bool:
    """There is one under the cursor."""
    return now.strategy is not None


ADVISOR = (
    Key(id="advisor.apply", keys="enter,space", shown="enter", action="take", label="take", scope="advisor",
        allowed=takeable, help="take for next run; space"),
    Key(id="advisor.undo", keys="u", shown="u", action="untake", label="undo", scope="advisor", allowed=returnable,
        help="take it back, or undo"),
    Key(id="advisor.probe", keys="b", shown="b", action="probe", label="probe", scope="advisor", allowed=probeable,
        live=True, help="try it now, as a trial"),
    Key(id="advisor.probe_all", keys="B", shown="B", action="probe_all", label="probe all", scope="advisor",
        allowed=probes, live=True, help="try all that are unmeasured"),
    Key(id="advisor.levers", keys="l", shown="l", action="levers", label="levers", scope="advisor", allowed=levers,
        live=True, help="help for a late run (asks)"),
    Key(id="advisor.difference", keys="v", shown="v", action="difference", label="diff", scope="advisor",
        help="what the next run changes"),
    Key(id="advisor.report", keys="w", shown="w", action="report", label="report", scope="advisor",
        help="write report.md for the run"),
    Key(id="advisor.sort", keys="o", shown="o", action="sort", label="sort", scope="advisor",
        help="sort by another column"),
)  # fmt: skip
