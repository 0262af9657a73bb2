"""A plan as text for a person: aligned, within 100 columns, `~` before what rests on no measurement."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from datetime import datetime

from speedtui.engine.advise.words import age_words, value_words
from speedtui.engine.config.window import Window
from speedtui.engine.plan.tables import CHECKPOINT_SHARE, recommended_checkpoint
from speedtui.engine.planned import Change, Fit, FrequencyRow, Plan, ProfileRow
from speedtui.engine.rows import row_words
from speedtui.engine.units import (
    format_count,
    format_seconds,
    format_share,
    format_size,
    format_span,
    length_words,
    zone_beside,
)

WIDTH = 100
"""Columns; a narrow terminal has 80, which the tables keep to unless a cell is long."""
FIT_WORDS: dict[Fit, str] = {"fits": "yes", "tight": "tight", "late": "no", "no_memory": "memory", "unknown": "–"}
BEST_ONLY = "the best"
"""In place of an interval, where only the best evaluations are saved."""
WORD_COLUMNS = ("", "profile", "every", "schedule", "fits", "source")
DROPPED_FIRST = ("step", "p90")
"""Columns of the profiles that go when there is no room: tok/s and spare say nearly the same."""


LEAST_SAVING = 0.005
"""Of the steps' time, below which an order or a layout changes nothing that can be read."""


def render_plan(plan: Plan, window: Window | None, *, next_step: str = "") -> str:
    """The whole plan, ending without a newline; empty parts are left out.

    `next_step`: what its run said is to be done next, which is the last line.
    """
    parts = [
        _header(plan, window),
        _profiles(plan),
        _given_up(plan.profiles),
        _spacing_table(plan, "eval", "evaluations"),
        _spacing_table(plan, "checkpoint", "checkpoints"),
        _schedules(plan),
        _goals(plan),
        _savings(plan),
        _advice(plan),
        f"next: {next_step}" if next_step else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _header(plan: Plan, window: Window | None) -> str:
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
    lines = [
        _fact("device", device),
        _fact("data", ", ".join(facts)),
        *([_fact("not all", rows)] if rows else []),
        _fact("window", _window_words(plan, window)),
        _fact("choice", f"{asked}: {choice.reason}{_as_planned(plan)}"),
    ]
    if plan.selected != choice.profile:
        lines.append(_fact("selected", f"{plan.selected}, as asked for"))
    return "\n".join(lines)


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


def _profiles(plan: Plan) -> str:
    header = ["", "profile", "epochs", "step", "tok/s", "peak", "total", "finish", "p90", "spare", "fits", "source"]
    rows = [header, *([*_profile_cells(row, plan)] for row in plan.profiles)]
    for dropped in DROPPED_FIRST:
        if _table_width(rows) > WIDTH:
            at = rows[0].index(dropped)
            rows = [row[:at] + row[at + 1 :] for row in rows]
    text = _table(rows)
    notes = [_wrapped(f"{row.profile}: {row.note}") for row in plan.profiles if row.note]
    return "\n".join([text, *_terms(plan), *notes])


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
    lines = [_wrapped(f"* {row.label}, {row.estimate.total_steps} steps: {', '.join(terms)}")] if terms else []
    return [*lines, *([_wrapped(answers)] if answers else [])]


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
    return f"{figures}: {row.answer_tokens:.0f} tokens each, as the right ones have, and more until that is learned"


def _given_up(rows: Iterable[ProfileRow]) -> str:
    lines = [_wrapped(f"{row.profile}: {_change(change)}") for row in rows for change in row.changes]
    return "\n".join(["changed so that it fits", *lines]) if lines else ""


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


def _spacing_table(plan: Plan, what: str, title: str) -> str:
    found = [row for row in plan.frequencies if row.what == what]
    if not found:
        return ""
    best = recommended_checkpoint(found)
    header = ["", "every", "count", "cost", "share", "total", "finish", "fits"]
    if what == "checkpoint":
        header.append("lost at most")
    guess = "~" if plan.row is not None and plan.row.source == "model" else ""
    rows = [header, *([*_spacing_cells(row, plan, guess)] for row in found)]
    lines = [f"{title}, * as configured", _table(rows)]
    if any(row.best_only for row in found):
        lines.append(f"  {BEST_ONLY}: after each evaluation that is the best so far; steps and epochs are not kept")
    if best is not None:
        lines.append(
            f"  recommended: every {best.every}, the most often within {CHECKPOINT_SHARE * 100:g} % of the run"
        )
    return "\n".join(lines)


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


def _schedules(plan: Plan) -> str:
    if not plan.schedules:
        return ""
    guess = "~" if plan.row is not None and plan.row.source == "model" else ""
    rows = [["", "schedule", "epoch", "between", "total", "finish", "fits"]]
    for row in plan.schedules:
        times = (row.epoch_seconds, row.gap_seconds, row.total_seconds)
        spans = [_about(guess, format_seconds(seconds) if seconds else "–") for seconds in times]
        rows.append(["", row.name, *spans, _clock(row.finish, plan.made_at), FIT_WORDS[row.fit]])
    seen = [_wrapped(f"{row.name}: {row.monitored}") for row in plan.schedules]
    return "\n".join([_table(rows), *seen])


def _goals(plan: Plan) -> str:
    lines = [f"  {goal.what:<7} {goal.text}" for goal in plan.goals]
    return "\n".join(["the most that fits", *lines]) if lines else ""


def _savings(plan: Plan) -> str:
    lines = []
    for saving in plan.savings:
        if abs(saving.share) < LEAST_SAVING:
            continue
        verb = "saves" if saving.seconds >= 0 else "costs"
        padding = f"padding {format_share(saving.padding_before)} → {format_share(saving.padding_after)}"
        share = f"{format_share(abs(saving.share))} of the steps"
        note = f"; {saving.note}" if saving.note else ""
        lines.append(_wrapped(f"{saving.lever}: {verb} {format_span(abs(saving.seconds))}, {share}; {padding}{note}"))
    return "\n".join(["computed from the lengths, not run", *lines]) if lines else ""


def _advice(plan: Plan) -> str:
    lines = []
    for number, advice in enumerate(plan.advice, 1):
        lines += [_wrapped(f"{number}. {advice.lever}"), _wrapped(advice.evidence, indent=5)]
    return "\n".join(["advice", *lines]) if lines else ""


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


def _fact(name: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"{name:<10}", subsequent_indent=" " * 10)


def _wrapped(text: str, indent: int = 2) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=" " * indent, subsequent_indent=" " * max(indent, 5), break_on_hyphens=False
    )


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]


def _table_width(rows: Sequence[Sequence[str]]) -> int:
    widths = _widths(rows)
    return sum(widths) + 2 * (len(widths) - 1)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns two apart under the header in the first row; words to the left, figures to the right."""
    widths = _widths(rows)
    left = [name in WORD_COLUMNS for name in rows[0]]
    lines = []
    for row in rows:
        cells = [c.ljust(w) if words else c.rjust(w) for c, w, words in zip(row, widths, left, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
