"""What would bring a late training nearer to its deadline, to be chosen from."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from speedtui.engine.plan_types import Advice
from speedtui.engine.state import RunState
from speedtui.engine.state.event_words import describe_nonfinite
from speedtui.tui.drawing.text import Row, Span, cell, clean, clock, crop, roughly, row, wrap
from speedtui.tui.panes.notices import gain_words
from speedtui.tui.panes.pane import lit
from speedtui.tui.screens.dialog import CURSOR_KEYS, Dialog
from speedtui.tui.values import value_words

GAIN_WIDTH = 16
"""Of `saves 10h 59m`, with the cursor and a gap."""


class LeversScreen(Dialog[Advice | None]):
    """Comes back with the lever chosen, or None. Shows them as they were when it was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,l", "dismiss(None)", "back", show=False),
        *CURSOR_KEYS,
        Binding("enter", "choose", "choose", show=False),
    ]
    WIDEST = 100

    def __init__(self, run: RunState) -> None:
        super().__init__("What helps")
        self._run = run
        self._levers = run.training.levers if run.training is not None else ()

    def body(self, width: int) -> list[Row]:
        return draw_levers(self._run, self.cursor, width)

    def hint(self, *, cut: bool) -> Row:
        return row(Span("enter", "key"), Span(" applies   ", "dim"), Span("esc", "key"), Span(" back", "dim"))

    def count(self) -> int:
        return len(self._levers)

    def action_choose(self) -> None:
        self.dismiss(self._levers[self.cursor] if self._levers else None)


def draw_levers(run: RunState, at: int, width: int) -> list[Row]:
    """How late it is, a row a lever, and below them what the one under the cursor changes and why it helps.

    As high for any cursor, so that the box keeps its size.
    """
    levers = run.training.levers if run.training is not None else ()
    details = [_detail(lever, width) for lever in levers]
    height = max((len(rows) for rows in details), default=0)
    shown = details[at] if levers else []
    return [_lateness(run, width), (), *(_line(lever, i == at, width) for i, lever in enumerate(levers)), (),
            *shown, *[()] * (height - len(shown))]  # fmt: skip


def _lateness(run: RunState, width: int) -> Row:
    found = run.training.nonfinite if run.training is not None else None
    if found is not None:
        return crop(row(Span(describe_nonfinite(found), "bad")), width)
    eta = run.training.eta if run.training is not None else None
    if run.window is None or eta is None or eta.p50_seconds is None:
        return ()
    finish = run.ahead(eta.t, eta.p50_seconds)
    short = finish - run.window.safe_until
    safe = clock(run.window.safe_until, run.now)
    words = f"{roughly(short)} after the latest safe finish, {safe}" if short > 0 else f"before the safe limit, {safe}"
    return crop(row("finish ", Span(clock(finish, run.now), "strong"), f": {words}"), width)


def _line(lever: Advice, here: bool, width: int) -> Row:
    gain = cell(f"{'›' if here else ' '} {gain_words(lever)}", GAIN_WIDTH, style="good")
    words = crop(row(Span(clean(lever.lever), "strong" if here else "")), width - GAIN_WIDTH)
    return lit(row(gain, words), width, here=here)


def _detail(lever: Advice, width: int) -> list[Row]:
    """The exact change and the figures behind it; the whole of a lever's words where the row above has no room."""
    sets = ", ".join(f"{path} = {value_words(value)}" for path, value in lever.changes.items())
    words = [("", lever.lever)] if len(lever.lever) > width - GAIN_WIDTH else []
    rows: list[Row] = []
    for label, text in (*words, ("sets", sets), ("why", lever.evidence)):
        for i, line in enumerate(wrap(text, width - 6)):
            rows.append(row(cell(label if not i else "", 6, style="dim"), line))
    return rows
