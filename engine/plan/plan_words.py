"""What a plan says, as facts, rows of cells and lines, however it is laid out."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from speedtui.engine.advise.words import age_words, value_words
from speedtui.engine.config.window import Window
from speedtui.engine.plan.tables import CHECKPOINT_SHARE, recommended_checkpoint
from speedtui.engine.plan_types import Change, Fit, FrequencyRow, Plan, ProfileRow
from speedtui.engine.row_counts import row_words
from speedtui.engine.units import (
    format_count,
    format_seconds,
    format_share,
    format_size,
    format_span,
    length_words,
    zone_beside,
)

FIT_WORDS: dict[Fit, str] = {"fits": "yes", "tight": "tight", "late": "no", "no_memory": "memory", "unknown": "–"}
BEST_ONLY = "the best"
"""In place of an interval, where only the best evaluations are saved."""
WORD_COLUMNS = ("", "profile", "every", "schedule", "fits", "source")
LEAST_SAVING = 0.005
"""Of the steps' time, below which an order or a layout changes nothing that can be read."""


def header_facts(plan: Plan, window: Window | None) -> list[tuple[str, str]]:
    """(name, what it is) of device, data, window and choice."""
    choice = plan.choice
    memory = f", {format_size(plan.limit_bytes)}" if plan.limit_bytes is not None else ""
    device = f"{plan.device}{memory}" if plan.device_here else f"{plan.device}, which is not this machine"
    facts = [f"{plan.train_rows} rows"]
    if plan.mean_tokens is not None:
        facts.append(f"{format_count(plan.mean_tokens)} tokens each, {format_count(plan.total_tokens)} in all")
    if plan.longest_target_tokens is not None:
        facts.append(_sides(plan))
    elif plan.longest_tokens is not None:
        facts.append(f"the longest {plan.longest_tokens}")
    rows = row_words(plan, plan.row.max_length if plan.row is not None else None)
    asked = f"{choice.profile}, {choice.epochs:g} epochs, max length {choice.max_length}"
    told = [
        ("device", device),
        ("data", ", ".join(facts)),
        ("not all", rows),
        ("window", _window_words(plan, window)),
        ("choice", f"{asked}: {choice.reason}{_as_planned(plan)}"),
        ("selected", f"{plan.selected}, as asked for" if plan.selected != choice.profile else ""),
    ]
    return [(name, text) for name, text in told if text]


def _as_planned(plan: Plan) -> str:
    """Where the configuration, the model or the window has the chosen profile run otherwise than the data asks for."""
    row = next((row for row in plan.profiles if row.profile == plan.choice.profile), None)
    if row is None:
        return ""
    epochs, length = f"{row.epochs:.3g} epochs", f"max length {row.max_length}"
    other = [epochs] if epochs != f"{plan.choice.epochs:.3g} epochs" else []
    other += [length] if row.max_length != plan.choice.max_length else []
    return f"; as planned here {', '.join(other)}" if other else ""


def _sides(plan: Plan) -> str:
    """Of pairs, whose tokens each are source and target together."""
    return length_words(plan.longest_tokens, plan.mean_tokens, plan.longest_target_tokens, plan.mean_target_tokens)


def _window_words(plan: Plan, window: Window | None) -> str:
    if window is None:
        return "none: set window.length or window.deadline to see what fits"
    seconds = window.deadline - plan.made_at
    left = f"{format_span(seconds)} left" if seconds > 0 else f"over since {format_span(-seconds)}"
    safe = _clock(window.safe_until, plan.made_at)
    margin = f", {format_span(window.margin_seconds)} margin: safe until {safe}" if window.margin_seconds else ""
    return f"{left}, until {_clock(window.deadline, plan.made_at)}{margin}"


def profile_rows(plan: Plan) -> list[list[str]]:
    """The names of the columns, then a row for each profile."""
    header = ["", "profile", "epochs", "step", "tok/s", "peak", "total", "finish", "p90", "spare", "fits", "source"]
    return [header, *([*_profile_cells(row, plan)] for row in plan.profiles)]


def profile_notes(plan: Plan) -> list[str]:
    """What the selected one's time consists of, and what is to be known of the others."""
    return [*_terms(plan), *(f"{row.profile}: {row.note}" for row in plan.profiles if row.note)]


def _profile_cells(row: ProfileRow, plan: Plan) -> Iterable[str]:
    guess = "~" if row.source == "model" else ""
    peak = "~" if row.source != "measured" and row.peak_bytes is not None else ""
    spare = "" if row.spare_seconds is None else "+" if row.spare_seconds >= 0 else ""
    yield "*" if row.profile == plan.selected else ""
    yield row.profile
    yield f"{row.epochs:.3g}"
    yield _about(guess, format_seconds(row.step_seconds))
    yield _about(guess, format_count(row.tokens_per_second))
    yield peak + format_size(row.peak_bytes)
    yield _about(guess, format_span(row.estimate.p50_seconds if row.estimate else None))
    yield _clock(row.finish_p50, plan.made_at)
    yield _clock(row.finish_p90, plan.made_at)
    yield spare + format_span(row.spare_seconds)
    yield "?" if row.fit == "unknown" and row.estimate is not None and row.estimate.unmeasured else FIT_WORDS[row.fit]
    yield _source(row)


def _source(row: ProfileRow) -> str:
    if row.source == "history" and row.source_age_seconds is not None:
        return f"{age_words(row.source_age_seconds)} old"
    return row.source


def _terms(plan: Plan) -> list[str]:
    """What the selected profile's time consists of."""
    row = plan.row
    if row is None or row.estimate is None:
        return []
    guess = "~" if row.source == "model" else ""
    answers = _answers(row)
    terms = [f"{name} {guess}{format_span(seconds)}" for name, seconds in row.estimate.terms.items() if seconds >= 0.5]
    lines = [f"* {row.label}, {row.estimate.total_steps} steps: {', '.join(terms)}"] if terms else []
    return [*lines, *([answers] if answers else [])]


def _answers(row: ProfileRow) -> str:
    """What the time of answers rests on, or that it is not in the total."""
    left_out = row.estimate.unmeasured if row.estimate is not None else ()
    if left_out:
        return f"* {' and '.join(left_out)} not measured: it takes longer than this"
    if row.answers_source is None or row.generate_seconds is None:
        return ""
    metric = f", the metric {format_seconds(row.metric_seconds)}" if row.metric_seconds is not None else ""
    figures = f"* an evaluation writes answers for {format_seconds(row.generate_seconds)}{metric}"
    if row.answers_source == "history":
        return f"{figures}, as in a run {age_words(row.answers_age_seconds or 0.0)} ago"
    if row.answer_tokens is None:
        return f"{figures}, as long as the model writes now"
    return f"{figures}: {row.answer_tokens:.0f} tokens each, by the right ones, and more until those are learned"


def given_up(plan: Plan) -> list[str]:
    """What was changed so that profiles fit."""
    return [f"{row.profile}: {_change(change)}" for row in plan.profiles for change in row.changes]


def _change(change: Change) -> str:
    parts = [f"{change.path} {value_words(change.before)} → {value_words(change.after)}, {change.reason}"]
    if change.saves_seconds:
        verb = "saves" if change.saves_seconds > 0 else "costs"
        parts.append(f"{verb} {format_span(abs(change.saves_seconds))}")
    if change.saves_bytes:
        verb = "saves" if change.saves_bytes > 0 else "takes"
        parts.append(f"{verb} {format_size(abs(change.saves_bytes))}")
    parts.append(f"gives up: {change.gives_up}" if change.gives_up else "gives up nothing in quality")
    return "; ".join(parts)


def spacing_rows(plan: Plan, what: str) -> list[list[str]]:
    """What evaluations or checkpoints cost by how often they come; nothing where there are none."""
    found = [row for row in plan.frequencies if row.what == what]
    header = ["", "every", "count", "cost", "share", "total", "finish", "fits"]
    if what == "checkpoint":
        header.append("lost at most")
    guess = "~" if plan.row is not None and plan.row.source == "model" else ""
    return [header, *([*_spacing_cells(row, plan, guess)] for row in found)] if found else []


def spacing_notes(plan: Plan, what: str) -> list[str]:
    """What of them needs a word, and which is recommended."""
    found = [row for row in plan.frequencies if row.what == what]
    best, notes = recommended_checkpoint(found), []
    if any(row.best_only for row in found):
        notes.append(f"{BEST_ONLY}: after each evaluation that is the best so far; steps and epochs are not kept")
    if best is not None:
        notes.append(f"recommended: every {best.every}, the most often within {CHECKPOINT_SHARE * 100:g} % of the run")
    return notes


def _spacing_cells(row: FrequencyRow, plan: Plan, guess: str) -> Iterable[str]:
    measured = not row.count or row.cost_seconds > 0
    yield "*" if row.current else ""
    yield (
        BEST_ONLY if row.best_only else f"{row.every}, the end" if row.what == "eval" and row.count == 1 else row.every
    )
    yield str(row.count)
    yield _about(guess, format_seconds(row.cost_seconds) if row.count else "0s") if measured else "–"
    yield f"{row.share * 100:.1f} %" if measured else "–"
    yield _about(guess, format_span(row.total_seconds))
    yield _clock(row.finish, plan.made_at)
    yield FIT_WORDS[row.fit]
    if row.what == "checkpoint":
        yield _about(guess, format_span(row.lost_seconds))


def schedule_rows(plan: Plan) -> list[list[str]]:
    """Whole schedules; nothing where there are none."""
    guess = "~" if plan.row is not None and plan.row.source == "model" else ""
    rows = [["", "schedule", "epoch", "between", "total", "finish", "fits"]]
    for row in plan.schedules:
        times = (row.epoch_seconds, row.gap_seconds, row.total_seconds)
        spans = [_about(guess, format_seconds(seconds) if seconds else "–") for seconds in times]
        rows.append(["", row.name, *spans, _clock(row.finish, plan.made_at), FIT_WORDS[row.fit]])
    return rows if plan.schedules else []


def saving_lines(plan: Plan) -> list[str]:
    """What was computed from the lengths alone."""
    lines = []
    for saving in plan.savings:
        if abs(saving.share) < LEAST_SAVING:
            continue
        verb = "saves" if saving.seconds >= 0 else "costs"
        padding = f"padding {format_share(saving.padding_before)} → {format_share(saving.padding_after)}"
        share = f"{format_share(abs(saving.share))} of the steps"
        note = f"; {saving.note}" if saving.note else ""
        lines.append(f"{saving.lever}: {verb} {format_span(abs(saving.seconds))}, {share}; {padding}{note}")
    return lines


def _clock(when: float | None, made_at: float) -> str:
    """Local time: `17:28` today, `Tue 03:10` within a week, else the date too; with its zone where the clocks are
    changed before it."""
    if when is None:
        return "–"
    moment, made = datetime.fromtimestamp(when), datetime.fromtimestamp(made_at)
    days = (moment.date() - made.date()).days
    form = "%H:%M" if days == 0 else "%a %H:%M" if 0 < days < 7 else "%Y-%m-%d %H:%M"
    return f"{moment:{form}}{zone_beside(when, made_at)}"


def _about(guess: str, text: str) -> str:
    return text if text == "–" else guess + text
