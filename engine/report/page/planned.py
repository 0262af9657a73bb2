"""A plan, where the run made one: tables and lists of what its command prints."""

from __future__ import annotations

from collections.abc import Sequence

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
from speedtui.engine.report.page.markup import EMPTY, Markup, cells, facts, join, section, table, tag
from speedtui.engine.state import RunState

CHOSEN = "*"


def plan_section(state: RunState) -> Markup:
    """All of it, with the same last line."""
    plan = state.plan
    if plan is None:
        return EMPTY
    schedules = [f"{row.name}: {row.monitored}" for row in plan.schedules]
    return section(
        "Plan",
        facts(header_facts(plan, state.window)),
        _part("Profiles", profile_rows(plan), profile_notes(plan)),
        _part("Changed so that it fits", [], given_up(plan)),
        _part("Evaluations", spacing_rows(plan, "eval"), spacing_notes(plan, "eval")),
        _part("Checkpoints", spacing_rows(plan, "checkpoint"), spacing_notes(plan, "checkpoint")),
        _part("Schedules", schedule_rows(plan), schedules),
        _part("The most that fits", [], [f"{goal.what}: {goal.text}" for goal in plan.goals]),
        _part("Computed from the lengths, not run", [], saving_lines(plan)),
        _advice(plan),
        tag("p", f"next: {state.next}") if state.next else EMPTY,
    )


def _part(title: str, rows: Sequence[Sequence[str]], lines: Sequence[str]) -> Markup:
    """A table under its name, the row that is planned with in bold, and lines below it; nothing without either."""
    if not rows and not lines:
        return EMPTY
    return join([tag("h3", title), _table(rows) if rows else EMPTY, _list(lines)])


def _table(rows: Sequence[Sequence[str]]) -> Markup:
    head, *others = rows
    numbers = [name not in WORD_COLUMNS for name in head]
    body = [cells(row, numbers=numbers, class_="best" if row[0] == CHOSEN else None) for row in others]
    return table(head, body, numbers=numbers)


def _list(lines: Sequence[str]) -> Markup:
    return tag("ul", *(tag("li", line) for line in lines)) if lines else EMPTY


def _advice(plan: Plan) -> Markup:
    if not plan.advice:
        return EMPTY
    found = [tag("li", tag("b", advice.lever), tag("br"), advice.evidence) for advice in plan.advice]
    return join([tag("h3", "Advice"), tag("ol", *found)])
