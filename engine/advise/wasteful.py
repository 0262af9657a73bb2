"""Time that buys nothing: padding, too many evaluations or checkpoints, waiting for data."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.advise.costs import (
    CHECKPOINTS,
    EVALUATION,
    Spent,
    checkpoint_lever,
    evaluation_lever,
    more_workers,
)
from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.advise.words import change_words, frequency_words
from speedtui.engine.config.settings import Scalar
from speedtui.engine.events import STEP_PHASES, Books
from speedtui.engine.plan_types import Advice, FrequencyRow
from speedtui.engine.units import format_share, format_span

PADDING = 0.20
"""Share of the padded tokens above which padding is worth a change."""
EVALUATION_SHARE = 0.10
"""Share of the run above which evaluations are."""
CHECKPOINTS_SHARE = 0.035
"""Share of the run above which checkpoints are (CheckFreq, FAST 2021)."""
WAITING = 0.10
"""Share of a step above which waiting for the loader is."""
WORTH_IT = 0.01
"""Share of the run that a change must save: less is lost in what runs differ by."""


def wasteful(case: RuleInput) -> list[Advice]:
    """What each waste costs and the change that saves it."""
    return [
        *_padding(case),
        *_too_often(case, "eval", EVALUATION_SHARE, "evaluations"),
        *_too_often(case, "checkpoint", CHECKPOINTS_SHARE, "checkpoints"),
        *_waiting(case),
        *_was_too_often(case),
    ]


def _padding(case: RuleInput) -> list[Advice]:
    seconds = case.seconds
    found = [] if case.savings else _padding_alone(case)
    for saving in case.savings:
        if saving.padding_before > PADDING and seconds is not None and saving.seconds > WORTH_IT * seconds:
            before, after = format_share(saving.padding_before), format_share(saving.padding_after)
            saved = f"saves {format_span(saving.seconds)}, computed from the lengths"
            evidence = f"{before} of the padded tokens are padding, {after} with this: {saved}"
            lever = change_words(case.settings, saving.values) + (f" ({saving.note})" if saving.note else "")
            found.append(_advice(evidence, lever, saving.values, saving.seconds))
    return found


def _padding_alone(case: RuleInput) -> list[Advice]:
    """Padding was measured, and nothing was computed of what would be saved."""
    train, padding = case.settings.train, case.padding_fraction
    if padding is None or padding <= PADDING or train.group_by_length or case.settings.data.packing:
        return []
    values: dict[str, Scalar] = {"train.group_by_length": True}
    lever = f"{change_words(case.settings, values)}; a plan computes what it saves"
    return [_advice(f"{format_share(padding)} of the padded tokens are padding", lever, values, None)]


def _too_often(case: RuleInput, what: str, limit: float, noun: str) -> list[Advice]:
    """The most frequent spacing within the limit."""
    rows = [row for row in case.frequencies if row.what == what]
    present = next((row for row in rows if row.current), None)
    if present is None or present.share <= limit:
        return []
    within = [row for row in rows if row.count and row.share <= limit and row.total_seconds < present.total_seconds]
    if not within:
        return []
    row = max(within, key=lambda row: row.count)
    gain = present.total_seconds - row.total_seconds
    evidence = f"{_cost(present, noun)}; {_cost(row, noun)} save {format_span(gain)}"
    path = "schedule.eval_every" if what == "eval" else "schedule.checkpoint_every"
    return [_advice(evidence, frequency_words(row, case.settings), {path: row.every}, gain)]


def _cost(row: FrequencyRow, noun: str) -> str:
    return f"{row.count} {noun} take {format_span(row.cost_seconds)}, {format_share(row.share)} of the run"


def _waiting(case: RuleInput) -> list[Advice]:
    """No gain is claimed: how much of it workers take away, only a trial shows."""
    phases = case.step_phases or _steps_of_run(case)
    step, waiting = sum(phases.values()), phases.get("data", 0.0)
    if step <= 0 or waiting <= WAITING * step:
        return []
    workers = more_workers(case.settings.train.loader_workers, case.cores)
    if workers == case.settings.train.loader_workers:
        return []
    values: dict[str, Scalar] = {"train.loader_workers": workers}
    estimate = case.row.estimate
    most = ""
    if estimate is not None:
        most = f", at most {format_span(estimate.terms.get('steps', 0.0) * waiting / step)} of the run"
    evidence = f"{format_share(waiting / step)} of a step waits for the loader{most}"
    return [_advice(evidence, f"{change_words(case.settings, values)}, and try it", values, None)]


def _steps_of_run(case: RuleInput) -> dict[str, float]:
    """What the steps of a run that is over consisted of; empty where that is not known."""
    taken = case.actual.phases if case.actual is not None else {}
    return {name: taken[name] for name in STEP_PHASES if name in taken and name != "other"}


def _was_too_often(case: RuleInput) -> list[Advice]:
    """By the phases of the run itself; a plan's table says the same of one that has not run."""
    actual = case.actual
    if actual is None or actual.made is None or not actual.phases or case.frequencies:
        return []
    books = Books(wall=actual.seconds, phases=actual.phases, unaccounted=0.0)
    spent = Spent(books=books, settings=case.settings, made=actual.made)
    evaluations = actual.made.full + actual.made.loss
    found = []
    for noun, count, phases, most, lever in (
        ("evaluations", evaluations, EVALUATION, EVALUATION_SHARE, evaluation_lever(spent)),
        ("checkpoints", actual.made.saves + 1, CHECKPOINTS, CHECKPOINTS_SHARE, checkpoint_lever(spent)),
    ):
        seconds, gain = spent.seconds(phases), lever.gain_seconds
        if seconds > most * actual.seconds and gain is not None and gain > WORTH_IT * actual.seconds:
            took = f"{count} {noun} took {format_span(seconds)}, {format_share(seconds / actual.seconds)} of the run"
            evidence = f"{took}; this would have saved {format_span(gain)}"
            found.append(_advice(evidence, lever.words, lever.changes, gain))
    return found


def _advice(evidence: str, lever: str, changes: Mapping[str, Scalar], gain_seconds: float | None) -> Advice:
    return Advice(kind="wasteful", evidence=evidence, lever=lever, changes=dict(changes), gain_seconds=gain_seconds)
