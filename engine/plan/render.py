"""A plan as text for a person: aligned, within 100 columns, `~` before what rests on no measurement."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from speedtui.engine.config.window import Window
from speedtui.engine.output import text_width
from speedtui.engine.plan.plan_words import (
    WORD_COLUMNS,
    given_up,
    header_facts,
    profile_notes,
    profile_rows,
    saving_lines,
    schedule_rows,
    spacing_notes,
    spacing_rows,
)
from speedtui.engine.plan_types import Plan

DROPPED_FIRST = ("step", "p90", "tok/s", "source")
"""Columns of the profiles that go when there is no room: tok/s, spare and total say nearly the same."""


def render_plan(plan: Plan, window: Window | None, *, next_step: str = "") -> str:
    """The whole plan, ending without a newline; empty parts are left out.

    `next_step`: what its run said is to be done next, which is the last line.
    """
    parts = [
        "\n".join(_fact(name, text) for name, text in header_facts(plan, window)),
        _profiles(plan),
        _listed("changed so that it fits", given_up(plan)),
        _spacing_table(plan, "eval", "evaluations"),
        _spacing_table(plan, "checkpoint", "checkpoints"),
        _schedules(plan),
        _goals(plan),
        _listed("computed from the lengths, not run", saving_lines(plan)),
        _advice(plan),
        f"next: {next_step}" if next_step else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _profiles(plan: Plan) -> str:
    rows = profile_rows(plan)
    for dropped in DROPPED_FIRST:
        if _table_width(rows) > text_width():
            at = rows[0].index(dropped)
            rows = [row[:at] + row[at + 1 :] for row in rows]
    return "\n".join([_table(rows), *map(_wrapped, profile_notes(plan))])


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([title, *map(_wrapped, lines)]) if lines else ""


def _spacing_table(plan: Plan, what: str, title: str) -> str:
    rows = spacing_rows(plan, what)
    if not rows:
        return ""
    notes = [f"  {note}" for note in spacing_notes(plan, what)]
    return "\n".join([f"{title}, * as configured", _table(rows), *notes])


def _schedules(plan: Plan) -> str:
    rows = schedule_rows(plan)
    seen = [_wrapped(f"{row.name}: {row.monitored}") for row in plan.schedules]
    return "\n".join([_table(rows), *seen]) if rows else ""


def _goals(plan: Plan) -> str:
    lines = [_wrapped(f"{goal.what:<7} {goal.text}") for goal in plan.goals]
    return "\n".join(["the most that fits", *lines]) if lines else ""


def _advice(plan: Plan) -> str:
    lines = []
    for number, advice in enumerate(plan.advice, 1):
        lines += [_wrapped(f"{number}. {advice.lever}"), _wrapped(advice.evidence, indent=5)]
    return "\n".join(["advice", *lines]) if lines else ""


def _fact(name: str, text: str) -> str:
    return textwrap.fill(text, text_width(), initial_indent=f"{name:<10}", subsequent_indent=" " * 10)


def _wrapped(text: str, indent: int = 2) -> str:
    return textwrap.fill(
        text, text_width(), initial_indent=" " * indent, subsequent_indent=" " * max(indent, 5), break_on_hyphens=False
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
