"""What the next run comes to against its window; the last pane of the Plan to go."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.units import format_count
from speedtui.tui.drawing.bars import EMPTY, FULL
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, roughly, row, width_of, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import title
from speedtui.tui.panes.plan_costs import missing_words
from speedtui.tui.panes.plan_pane import PlanPane, about, at_least
from speedtui.tui.panes.time_axis import SAFE

if TYPE_CHECKING:
    from speedtui.tui.draft.next_run import NextRun

VERDICTS = {"fits": ("ON TRACK", "good"), "tight": ("TIGHT", "warn"), "late": ("LATE", "bad"),
            "no_memory": ("DOES NOT FIT THE MEMORY", "bad")}  # fmt: skip
PARTS = (
    ("start", "F", ("load", "compile"), "rest"), ("train", "T", ("steps",), "bar"),
    ("eval", "E", ("evals", "generate", "metric"), "accent"), ("ckpt", "C", ("saves", "final"), "warn"),
)  # fmt: skip
"""Name, letter in the bar, terms of the estimate, style."""
LETTERS = {"start": "S", "train": FULL, "eval": "E", "ckpt": "C"}


BESIDE_LETTERS = 14
"""Of the upper edge beside them: the title, its gaps and corners."""


class ResultPane(PlanPane[None]):
    """The verdict."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_result(self.next_run, width, height)


def draw_result(shown: NextRun | None, width: int, height: int) -> list[Row]:
    """Bar, what it consists of, verdict; the verdict alone where there is one row."""
    inner, room = width - EDGES - INSET, height - EDGES
    heading = title("Result against the window" if width >= 60 else "Result")
    if shown is None or shown.estimate is None:
        return bordered(heading, (), _unknown(shown, inner), width, height)
    pieces = _pieces(shown, shown.estimate)
    words = pack(pieces, inner)
    if room <= 1:
        return bordered(heading, _right(shown), [words], width, height)
    rows = [_bar(shown, shown.estimate, inner), words]
    if room < 3:
        beside = inner - width_of(_right(shown)) - BESIDE_LETTERS
        heading = title("Result", pack(_letters(shown.estimate), max(0, beside)))
    else:
        rows.insert(1, pack(_shares(shown.estimate, shown.measured), inner))
        rows.append(pack(_room(shown), inner))
    return bordered(heading, _right(shown), rows, width, height)


def _right(shown: NextRun) -> Row:
    words = f"if it starts now, {clock(shown.now, shown.now)}"
    return row(Span(words if shown.measured else f"~ {words}", "dim"))


def _unknown(shown: NextRun | None, width: int) -> list[Row]:
    if shown is None:
        return [row(Span("no configuration yet", "dim"))]
    key = row(Span("R", "key"), " measures or predicts it")
    if shown.missing == "nothing":
        return [pack([row(Span("? NOT KNOWN", "warn")), row("nothing is measured yet"), key], width)]
    if shown.missing == "the plan":
        return [row(Span("… PLANNING", "accent"))]
    verdict = "? NEEDS A TRIAL" if shown.missing == "another step" else "? NOT KNOWN"
    first, *more = wrap(f"{verdict}. {missing_words(shown)}", width)
    return [row(Span(first[: len(verdict)], "warn"), first[len(verdict) :]), *map(row, more)]


def _pieces(shown: NextRun, estimate: Estimate) -> list[Row]:
    """Verdict first; what matters less later."""
    window, now, sure = shown.window, shown.now, shown.measured
    finish, late = now + estimate.p50_seconds, now + estimate.p90_seconds
    pieces = [_verdict(shown, finish)]
    total, end = about(roughly(estimate.p50_seconds), sure), clock(finish, now)
    if shown.unpriced:
        total, end = at_least(roughly(estimate.p50_seconds), shown.unpriced), at_least(end, shown.unpriced)
    pieces.append(row("total ", Span(total, "strong"), f" of {roughly(window.deadline - now)}" if window else ""))
    pieces += [row("finish ", Span(end, "strong")), row(f"p90 {clock(late, now)}")]
    if shown.unpriced:
        pieces.insert(2, row(Span(f"without {' and '.join(shown.unpriced)}: not measured", "warn")))
    if window is None:
        return [*(piece for piece in pieces if piece), row(Span("no deadline set", "dim"))]
    spare = window.safe_until - finish
    if spare < 0 or not shown.unpriced:
        pieces.insert(2, row(f"spare {roughly(spare)}" if spare >= 0 else f"short {roughly(-spare)}"))
    pieces.append(row(f"safe until {clock(window.safe_until, now)}"))
    return pieces


def _verdict(shown: NextRun, finish: float) -> Row:
    if shown.window_problem:
        return row(Span(f"✗ {clean(shown.window_problem)}", "bad"))
    if shown.unpriced and shown.fit == "unknown" and shown.window is not None:
        return row(Span("? NOT KNOWN", "warn"))
    if shown.fit not in VERDICTS:
        return ()
    word, style = VERDICTS[shown.fit]
    if shown.fit == "late" and shown.window is not None and finish > shown.window.deadline:
        word += f" by {roughly(finish - shown.window.deadline)}"
    return row(Span(word, style))


def _bar(shown: NextRun, estimate: Estimate, width: int) -> Row:
    """From now to the deadline or to the finish, whichever is later, with the safe limit on it."""
    window, now = shown.window, shown.now
    end = max(window.deadline if window is not None else 0.0, now + estimate.p50_seconds)
    left, right = f"{clock(now, now)} ", f" {clock(end, now)}"
    cells = max(4, width - len(left) - len(right))
    filled = max(1, min(cells, round(cells * estimate.p50_seconds / (end - now)))) if end > now else cells
    line = [*_parts(estimate, filled), *[Span(EMPTY, "rest")] * (cells - filled)]
    _mark(line, window, now, end)
    return row(Span(left, "dim"), *line, Span(right, "dim"))


def _mark(line: list[Span], window: Window | None, now: float, end: float) -> None:
    if window is not None and window.margin_seconds and end > now:
        at = round((window.safe_until - now) / (end - now) * (len(line) - 1))
        if 0 <= at < len(line):
            line[at] = Span(SAFE, "limit")


def _parts(estimate: Estimate, width: int) -> list[Span]:
    """A letter or a line a cell, each part as long as its share; the time in steps takes what rounding leaves."""
    whole = estimate.p50_seconds or 1.0
    seconds = {name: _seconds(estimate, terms) for name, _, terms, _ in PARTS}
    sizes = {name: round(value / whole * width) for name, value in seconds.items()}
    sizes["train"] = max(0, width - sum(size for name, size in sizes.items() if name != "train"))
    return [Span(LETTERS[name], style) for name, _, _, style in PARTS for _ in range(sizes[name])][:width]


def _seconds(estimate: Estimate, terms: tuple[str, ...]) -> float:
    return math.fsum(estimate.terms.get(term, 0.0) for term in terms)


def _shares(estimate: Estimate, sure: bool) -> list[Row]:
    """What the total consists of."""
    pieces = []
    for name, _, terms, style in PARTS:
        seconds = _seconds(estimate, terms)
        if seconds >= 0.5:
            share = f"{seconds / estimate.p50_seconds * 100:.1f} %"
            part = f"{name} {about(roughly(seconds), sure)} "
            pieces.append(row(Span(f"{LETTERS[name]} ", style), part, Span(share, "dim")))
    return pieces


def _letters(estimate: Estimate) -> list[Row]:
    """What the letters of the bar are, where there is no row for the shares."""
    return [
        row(Span(f"{LETTERS[name]} ", style), Span(name, "dim"))
        for name, _, terms, style in PARTS
        if _seconds(estimate, terms) and LETTERS[name] != FULL
    ]


def _room(shown: NextRun) -> list[Row]:
    """What could be had besides, or that nothing can."""
    estimate = shown.estimate
    found: list[str] = []
    steps, evals = shown.goal("steps"), shown.goal("evals")
    if estimate is not None and steps is not None and steps.value > estimate.total_steps:
        found.append(f"+{format_count(steps.value - estimate.total_steps)} steps")
    if estimate is not None and evals is not None and evals.value > estimate.evals:
        found.append(f"eval every {next(iter(evals.values.values()), '')}")
    if shown.slower is not None and shown.slower > 1.005:
        found.append(f"a {shown.slower:.2f}× slower step")
    if found:
        return [row(Span("room for ", "dim"), ", or ".join(found)), row(Span("g", "key"), Span(" takes it", "dim"))]
    if shown.window is None:
        return [row(Span("a window or a deadline among the settings shows what fits", "dim"))]
    ways = "fewer evaluations, epochs or another profile; "
    return [row(Span("no room: ", "warn"), ways, Span("g", "key"), " seeks what fits")]
