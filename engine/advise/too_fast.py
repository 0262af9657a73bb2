"""It needs less than half of the window: what the rest of the time buys."""

from __future__ import annotations

from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.advise.words import change_words
from speedtui.engine.plan_types import Advice
from speedtui.engine.units import format_share, format_span

UNUSED = 0.5
"""Share of the window below which a run is too fast."""
QUALITY = "quality"


def too_fast(case: RuleInput) -> list[Advice]:
    """The quality profile where it fits, and the epochs that do."""
    seconds = case.seconds
    if case.window is None or seconds is None or case.fit != "fits":
        return []
    length = case.window.deadline - case.now
    if length <= 0 or seconds >= UNUSED * length:
        return []
    took = "it took" if case.actual is not None else "the run takes"
    evidence = f"{took} {format_span(seconds)}, {format_share(seconds / length)} of the window"
    return [*_quality(case, seconds, evidence), *_epochs(case, evidence)]


def _quality(case: RuleInput, seconds: float, evidence: str) -> list[Advice]:
    row = next((row for row in case.alternatives if row.profile == QUALITY and row.fit == "fits"), None)
    if row is None or row.estimate is None or case.row.profile == QUALITY or row.estimate.p50_seconds <= seconds:
        return []
    return [
        Advice(
            kind="too_fast",
            evidence=f"{evidence}; the profile {QUALITY} takes {format_span(row.estimate.p50_seconds)} and fits",
            lever=f"take the profile {QUALITY}: {change_words(case.settings, row.values)}",
            changes=row.values,
            gain_seconds=None,
        )
    ]


def _epochs(case: RuleInput, evidence: str) -> list[Advice]:
    goal = next((goal for goal in case.goals if goal.what == "epochs"), None)
    epochs = case.settings.train.epochs
    if goal is None or goal.value <= epochs or case.settings.train.max_steps is not None:
        return []
    return [
        Advice(
            kind="too_fast",
            evidence=f"{evidence}; up to {goal.value:g} epochs fit",
            lever=f"train up to {goal.value:g} epochs instead of {epochs:g}, as long as the evaluation loss falls",
            changes=goal.values,
            gain_seconds=None,
        )
    ]
