"""A run took much more or much less than was estimated: why, and how the next estimate becomes better."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.advise.case import Actual, Case
from speedtui.engine.advise.words import age_words
from speedtui.engine.candidate import Estimate
from speedtui.engine.events import STEP_PHASES
from speedtui.engine.planned import Advice, ProfileRow
from speedtui.engine.units import format_share, format_span

GOOD = (0.85, 1.15)
"""Estimate over actual time that is called good."""
TERM_PHASES: Mapping[str, tuple[str, ...]] = {
    "load": ("load",),
    "compile": ("compile",),
    "steps": (*STEP_PHASES, "gap", "first_batch"),
    "evals": ("eval",),
    "generate": ("generate",),
    "metric": ("metric",),
    "saves": ("checkpoint", "write"),
}
"""Which phases of a run each term of an estimate is about; the final save is a checkpoint too."""


def estimate_off(case: Case) -> list[Advice]:
    """What the estimate missed, where it was off by more than 15 %."""
    actual, estimate = case.actual, case.row.estimate
    if actual is None or estimate is None or actual.seconds <= 0:
        return []
    accuracy = estimate.p50_seconds / actual.seconds
    if GOOD[0] <= accuracy <= GOOD[1]:
        return []
    evidence = (
        f"took {format_span(actual.seconds)}, estimated {format_span(estimate.p50_seconds)}: "
        f"accuracy {format_share(accuracy)}"
    )
    missed = _missed(actual, estimate)
    return [
        Advice(
            kind="estimate_off",
            evidence=f"{evidence}; {missed}" if missed else evidence,
            lever=_remedy(case.row),
            changes={},
            gain_seconds=None,
        )
    ]


def _missed(actual: Actual, estimate: Estimate) -> str:
    """The term that was off most, in words; empty where the run's phases are not known."""
    if not actual.phases:
        return ""
    expected = {term: estimate.terms.get(term, 0.0) for term in TERM_PHASES}
    expected["saves"] += estimate.terms.get("final", 0.0)
    took = {term: sum(actual.phases.get(phase, 0.0) for phase in phases) for term, phases in TERM_PHASES.items()}
    term = max(expected, key=lambda name: abs(took[name] - expected[name]))
    return f"most of it in {term}: {format_span(took[term])} instead of {format_span(expected[term])}"


def _remedy(row: ProfileRow) -> str:
    if row.source == "model":
        return "plan again: the estimate was made before anything was measured here, the next one knows this run"
    if row.source == "history":
        age = row.source_age_seconds
        old = f", which was {age_words(age)} old" if age is not None else ""
        return f"tune again: the estimate came from an earlier measurement{old}"
    return "tune again on a quiet device: the length curve was measured under other conditions than the run had"
