"""Where the time went, against what was expected, and what would take less of it."""

from __future__ import annotations

from speedtui.engine.advise.costs import Cost
from speedtui.engine.advise.words import value_words
from speedtui.engine.report.books import GROUPS, BooksRow, rounded
from speedtui.engine.report.page.bars import Bar, Limit, Piece, books_bar, compared_bars, pieces_of
from speedtui.engine.report.page.markup import EMPTY, Markup, join, section, tag
from speedtui.engine.report.page.style import GROUP_CLASSES
from speedtui.engine.report.record import EstimateComparison, TrainingReport
from speedtui.engine.report.words import accuracy_words, clock, deadline_words, gain_words
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_share, format_span

TERM_GROUPS = {
    "load": "start", "start": "start", "compile": "start", "steps": "training steps", "evals": "evaluation",
    "generate": "evaluation", "saves": "checkpoints", "final": "checkpoints", "epochs": "between epochs",
}  # fmt: skip
"""Which phases a term of an estimate foretells."""


def books_section(rows: tuple[BooksRow, ...], wall_seconds: float) -> Markup:
    """A bar over a table whose rows add up to the whole."""
    if not rows:
        return section("Where the time went", tag("p", "The run ended before its books were written."))
    seconds, shares = rounded([row.seconds for row in rows]), rounded([row.share * 100 for row in rows])
    lines, largest = [], max(row.share for row in rows)
    for group, _ in GROUPS:
        inside = [i for i, row in enumerate(rows) if row.group == group]
        grouped = len(inside) > 1 and group != GROUPS[-1][0]
        if grouped:
            spent, share = sum(seconds[i] for i in inside), sum(shares[i] for i in inside)
            lines.append(_line(group, group, spent, share, kind="group"))
        kind = "inside" if grouped else None
        lines += [
            _line(phase_words(rows[i].phase), group, seconds[i], shares[i], kind=kind, bar=rows[i].share / largest)
            for i in inside
        ]
    lines.append(_line("total", None, sum(seconds), sum(shares), kind="total"))
    head = tag("tr", tag("th", "phase"), tag("th", "seconds", class_="n"), tag("th", "%", class_="n"), tag("th"))
    return section(
        "Where the time went",
        books_bar(rows, wall_seconds),
        tag("div", tag("table", tag("thead", head), tag("tbody", *lines)), class_="scroll"),
        note=f"Every second of {format_span(wall_seconds)} of wall time belongs to one phase.",
    )


def _line(name: str, group: str | None, seconds: float, share: float, *, kind: str | None, bar: float = 0.0) -> Markup:
    """A row; a group's own has the key of its colour, a phase's a bar of that share of the column."""
    colour = GROUP_CLASSES[group] if group is not None else None
    key = tag("span", class_=f"key {colour}") if colour is not None and kind != "inside" else EMPTY
    drawn = tag("span", class_=colour, style=f"width:{bar * 100:.1f}%") if bar > 0 else EMPTY
    return tag(
        "tr", tag("td", key, name), tag("td", f"{seconds:,.1f}", class_="n"), tag("td", f"{share:.1f}", class_="n"),
        tag("td", drawn, class_="bar"), class_=kind,
    )  # fmt: skip


def expected_section(report: TrainingReport, *, alone: bool) -> Markup:
    """The estimate beside the time; `alone`: the run was this training and nothing else."""
    comparison = report.comparison
    bars = [*_expected_bars(comparison), *_actual_bars(report, alone=alone)]
    limit = _limit(report) if alone else None
    deadline = tag("p", f"Deadline {deadline_words(report)}.") if report.state.window is not None else EMPTY
    if len(bars) < 2 and limit is None:
        return section("Estimate against actual", deadline, tag("p", f"Estimate: {accuracy_words(comparison)}."))
    return section(
        "Estimate against actual",
        deadline, compared_bars(bars, limit), note=f"Estimate: {accuracy_words(comparison)}.",
    )  # fmt: skip


def _expected_bars(comparison: EstimateComparison) -> list[Bar]:
    estimate = comparison.estimate
    if estimate is None:
        running = comparison.running_seconds
        piece = Piece(name="expected", group="the rest", seconds=running or 0.0)
        return [Bar(name=f"at step {comparison.running_step}", pieces=(piece,))] if running is not None else []
    terms = [
        Piece(name=name, group=TERM_GROUPS.get(name, "the rest"), seconds=seconds)
        for name, seconds in estimate.terms.items()
        if seconds > 0
    ]
    order = [name for name, _ in GROUPS]
    pieces = tuple(sorted(terms, key=lambda piece: (order.index(piece.group), -piece.seconds)))
    return [Bar(name="estimate", pieces=pieces, whisker_seconds=estimate.p90_seconds)]


def _actual_bars(report: TrainingReport, *, alone: bool) -> list[Bar]:
    if alone and report.books:
        return [Bar(name="actual", pieces=pieces_of(report.books))]
    actual = report.comparison.actual_seconds
    piece = Piece(name="the training", group="training steps", seconds=actual or 0.0)
    return [Bar(name="actual", pieces=(piece,))] if actual else []


def _limit(report: TrainingReport) -> Limit | None:
    state = report.state
    if state.window is None:
        return None
    begin = state.started_at
    return Limit(
        seconds=state.window.deadline - begin, safe_seconds=state.window.safe_until - begin,
        label=f"deadline {clock(state.window.deadline, report.ended_at)}",
    )  # fmt: skip


def costs_section(costs: tuple[Cost, ...]) -> Markup:
    """The largest costs, each with its lever."""
    if not costs:
        return EMPTY
    return section(
        "Largest costs",
        tag("ol", *(_cost(cost) for cost in costs), class_="costs"),
        note="What took most of the time, and what would make it less.",
    )


def _cost(cost: Cost) -> Markup:
    changes = ", ".join(f"{path} = {value_words(value)}" for path, value in cost.changes.items())
    gain = gain_words(cost.gain_seconds)
    return tag(
        "li",
        tag("div", tag("b", cost.name), tag("br"),
            tag("span", f"{format_span(cost.seconds)}, {format_share(cost.share)} of the run")),
        tag("div", join([cost.lever, tag("br") if changes or gain else EMPTY, tag("code", changes),
                         " · " if changes and gain else "", tag("span", gain, class_="gain") if gain else EMPTY])),
    )  # fmt: skip
