"""What a run that is over spent on evaluations and checkpoints, where that was too much."""

from __future__ import annotations

from speedtui.engine.advise.costs import CHECKPOINTS, EVALUATION, Spent, checkpoint_lever, evaluation_lever
from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.events import Books
from speedtui.engine.plan_types import Advice
from speedtui.engine.units import format_share, format_span

MOST_EVALUATION, MOST_CHECKPOINTS = 0.10, 0.035
"""Shares of the run above which they are worth a change, as in a plan."""
WORTH_IT = 0.01
"""Share of the run that a change must save: less is lost in what runs differ by."""


def looking_back(case: RuleInput) -> list[Advice]:
    """By the phases of the run itself; a plan's table says the same of one that has not run."""
    actual = case.actual
    if actual is None or actual.made is None or not actual.phases or case.frequencies:
        return []
    books = Books(wall=actual.seconds, phases=actual.phases, unaccounted=0.0)
    spent = Spent(books=books, settings=case.settings, made=actual.made)
    evaluations = actual.made.full + actual.made.loss
    found = []
    for noun, count, phases, most, lever in (
        ("evaluations", evaluations, EVALUATION, MOST_EVALUATION, evaluation_lever(spent)),
        ("checkpoints", actual.made.saves + 1, CHECKPOINTS, MOST_CHECKPOINTS, checkpoint_lever(spent)),
    ):
        seconds, gain = spent.seconds(phases), lever.gain_seconds
        if seconds > most * actual.seconds and gain is not None and gain > WORTH_IT * actual.seconds:
            took = f"{count} {noun} took {format_span(seconds)}, {format_share(seconds / actual.seconds)} of the run"
            found.append(
                Advice(
                    kind="wasteful", evidence=f"{took}; this would have saved {format_span(gain)}", lever=lever.words,
                    changes=lever.changes, gain_seconds=gain,
                )
            )  # fmt: skip
    return found
