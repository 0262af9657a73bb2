"""A run took much more or much less than was estimated: why, and how the next estimate becomes better."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.advise.rule_input import Actual, RuleInput
from speedtui.engine.advise.words import age_words
from speedtui.engine.candidate import Estimate
from speedtui.engine.events import STEP_PHASES
from speedtui.engine.plan_types import Advice, ProfileRow
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
UNMEASURED = {"evals": "evaluations", "generate": "answers", "metric": "the metric", "saves": "checkpoints"}
"""How an estimate calls a term that it leaves out."""


def estimate_off(case: RuleInput) -> list[Advice]:
    """What the estimate missed, where it was off by more than 15 %."""
    actual, estimate = case.actual, case.row.estimate
    if actual is None or estimate is None or actual.seconds <= 0:
        return []
    accuracy = estimate.p50_seconds / actual.seconds
    if GOOD[0] <= accuracy <= GOOD[1]:
        return []
    term = _missed_term(actual, estimate)
    evidence = (
        f"took {format_span(actual.seconds)}, estimated {format_span(estimate.p50_seconds)}: "
        f"accuracy {format_share(accuracy)}"
    )
    return [
        Advice(
            kind="estimate_off",
            evidence=f"{evidence}; {_missed(term, actual, estimate)}" if term else evidence,
            lever=_remedy(case.row, term),
            changes={},
            gain_seconds=None,
        )
    ]


def _missed_term(actual: Actual, estimate: Estimate) -> str:
    """The term that was off most; empty where the run's phases are not known."""
    if not actual.phases:
        return ""
    return max(TERM_PHASES, key=lambda term: abs(_took(term, actual) - _expected(term, estimate)))


def _missed(term: str, actual: Actual, estimate: Estimate) -> str:
    took, expected = format_span(_took(term, actual)), format_span(_expected(term, estimate))
    left_out = UNMEASURED.get(term) in estimate.unmeasured
    return f"most of it in {term}: {took} instead of {'what nobody had measured' if left_out else expected}"


def _took(term: str, actual: Actual) -> float:
    return sum(actual.phases.get(phase, 0.0) for phase in TERM_PHASES[term])


def _expected(term: str, estimate: Estimate) -> float:
    """Seconds; of a rehearsal most are answers where there are any."""
    besides = {"saves": "final", "generate" if estimate.terms.get("generate") else "evals": "rehearsal"}
    return estimate.terms.get(term, 0.0) + estimate.terms.get(besides.get(term, ""), 0.0)


def _remedy(row: ProfileRow, term: str) -> str:
    """What makes the next estimate better: it depends on what was off."""
    if term in ("generate", "metric"):
        return "plan again: what this run's answers and metric took is known now, and the next plan counts it"
    if row.source == "model":
        return "plan again: the estimate was made before anything was measured here, the next one knows this run"
    if row.source == "history":
        age = row.source_age_seconds
        old = f", which was {age_words(age)} old" if age is not None else ""
        return f"tune again: the estimate came from an earlier measurement{old}"
    if term and term != "steps":
        return f"tune again on a quiet device: {term} took another time than when it was measured"
    return "tune again on a quiet device: the length curve was measured under other conditions than the run had"
