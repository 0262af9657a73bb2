"""Time that buys nothing: padding, too many evaluations or checkpoints, waiting for data."""

from __future__ import annotations

from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.advise.words import change_words, frequency_words
from speedtui.engine.config.settings import Scalar
from speedtui.engine.events import STEP_PHASES
from speedtui.engine.plan_types import Advice, FrequencyRow
from speedtui.engine.units import format_share, format_span

PADDING = 0.20
"""Share of the padded tokens above which padding is worth a change."""
EVALUATION = 0.10
"""Share of the run above which evaluations are."""
CHECKPOINTS = 0.035
"""Share of the run above which checkpoints are (CheckFreq, FAST 2021)."""
WAITING = 0.10
"""Share of a step above which waiting for the loader is."""
WORTH_IT = 0.01
"""Share of the run that a change must save: less is lost in what runs differ by."""
WORKERS = 2
"""Loader workers to begin with: one reads while the other collates."""


def wasteful(case: RuleInput) -> list[Advice]:
    """What each waste costs and the change that saves it."""
    return [
        *_padding(case),
        *_too_often(case, "eval", EVALUATION, "evaluations"),
        *_too_often(case, "checkpoint", CHECKPOINTS, "checkpoints"),
        *_waiting(case),
    ]


def _padding(case: RuleInput) -> list[Advice]:
    seconds = case.seconds
    found = [] if case.savings else _padding_alone(case)
    for saving in case.savings:
        if saving.padding_before > PADDING and seconds is not None and saving.seconds > WORTH_IT * seconds:
            before, after = format_share(saving.padding_before), format_share(saving.padding_after)
            found.append(
                Advice(
                    kind="wasteful",
                    evidence=f"{before} of the padded tokens are padding, {after} with this: "
                    f"saves {format_span(saving.seconds)}, computed from the lengths",
                    lever=change_words(case.settings, saving.values) + (f" ({saving.note})" if saving.note else ""),
                    changes=saving.values,
                    gain_seconds=saving.seconds,
                )
            )
    return found


def _padding_alone(case: RuleInput) -> list[Advice]:
    """Padding was measured, and nothing was computed of what would be saved."""
    train, padding = case.settings.train, case.padding_fraction
    if padding is None or padding <= PADDING or train.group_by_length or case.settings.data.packing:
        return []
    values: dict[str, Scalar] = {"train.group_by_length": True}
    return [
        Advice(
            kind="wasteful",
            evidence=f"{format_share(padding)} of the padded tokens are padding",
            lever=f"{change_words(case.settings, values)}; a plan computes what it saves",
            changes=values,
            gain_seconds=None,
        )
    ]


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
    return [
        Advice(
            kind="wasteful",
            evidence=f"{_cost(present, noun)}; {_cost(row, noun)} save {format_span(gain)}",
            lever=frequency_words(row, case.settings),
            changes={"schedule.eval_every" if what == "eval" else "schedule.checkpoint_every": row.every},
            gain_seconds=gain,
        )
    ]


def _cost(row: FrequencyRow, noun: str) -> str:
    return f"{row.count} {noun} take {format_span(row.cost_seconds)}, {format_share(row.share)} of the run"


def _waiting(case: RuleInput) -> list[Advice]:
    """No gain is claimed: how much of it workers take away, only a trial shows."""
    phases = case.step_phases or _steps_of_run(case)
    step, waiting = sum(phases.values()), phases.get("data", 0.0)
    if step <= 0 or waiting <= WAITING * step:
        return []
    workers = max(2 * case.settings.train.loader_workers, WORKERS)
    values: dict[str, Scalar] = {"train.loader_workers": workers}
    estimate = case.row.estimate
    most = ""
    if estimate is not None:
        most = f", at most {format_span(estimate.terms.get('steps', 0.0) * waiting / step)} of the run"
    return [
        Advice(
            kind="wasteful",
            evidence=f"{format_share(waiting / step)} of a step waits for the loader{most}",
            lever=f"{change_words(case.settings, values)}, and try it",
            changes=values,
            gain_seconds=None,
        )
    ]


def _steps_of_run(case: RuleInput) -> dict[str, float]:
    """What the steps of a run that is over consisted of; empty where that is not known."""
    taken = case.actual.phases if case.actual is not None else {}
    return {name: taken[name] for name in STEP_PHASES if name in taken and name != "other"}
