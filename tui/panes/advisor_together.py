"""What was measured together, never multiplied; and what the next run will use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.geometry import Size

from speedtui.engine.advise.combinations import Stacked
from speedtui.engine.advise.strategy import Gain, short_changes
from speedtui.engine.config.settings import Scalar
from speedtui.engine.units import format_seconds
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, crop, pack, row, spread
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture
from speedtui.tui.panes.pane import title

ADDED = (8, 20)
TIME = 9
FIGURES = 32
"""Cells for the ratio with its interval and what it is."""
BAR = "━"
ROWS_FROM = 36
"""Rows of the terminal from which the stack has a row for each configuration: the strategies have theirs before."""


class TogetherPane(AdvisorPane):
    """A row for each configuration where there is room, else one line for all."""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As high as the stack where the screen has room; else, and where nothing was measured together, a line."""
        return EDGES + (max(1, len(self.shown.advised.stack)) if viewport.height >= ROWS_FROM else 1)

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        return draw_together(shown.advised.stack, width, height)


class NextPane(AdvisorPane):
    """One line."""

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        open_yet = any(strategy.state == "to_probe" for strategy in shown.rows)
        return [draw_next(shown.taken, width, measurable=open_yet and not shown.probes)]


def draw_together(stack: Sequence[Stacked], width: int, height: int) -> list[Row]:
    inner, room = width - EDGES - INSET, height - EDGES
    heading = title("Measured together", Span("never multiplied", "dim"))
    if not stack:
        text = "Nothing yet: `speedtui tune --mode auto` stacks one change on the other."
        return bordered(heading, (), [crop(row(Span(text, "dim")), inner)], width, height)
    if room < len(stack):
        return bordered(heading, (), [_line(stack, inner)], width, height)
    longest = max(step.step_seconds for step in stack)
    added = max(ADDED[0], min(ADDED[1], max(len(_added(step)) for step in stack) + 1))
    return bordered(heading, (), [_row(step, stack, added, longest, inner) for step in stack], width, height)


def _row(step: Stacked, stack: Sequence[Stacked], added: int, longest: float, width: int) -> Row:
    room = max(0, width - added - TIME - FIGURES - 2)
    length = max(1, round(room * step.step_seconds / longest)) if room else 0
    return row(
        cell(_added(step), added, style="strong" if step.in_use else ""),
        cell(format_seconds(step.step_seconds), TIME - 1, right=True), " ",
        Span(BAR * length, "bar"), " ", Span(_ratio(step.gain), "strong"), "  ", _kind(step, stack),
    )  # fmt: skip


def _kind(step: Stacked, stack: Sequence[Stacked]) -> Row:
    """`in use`, and which one is the cautious plan and which one the bold one."""
    cautious = [one for one in stack if one.cautious]
    words = []
    if step.in_use:
        words.append(Span("in use  ", "good"))
    if step is stack[-1] and not step.cautious:
        words.append(Span("all of it  ", "dim"))
    if len(stack) > 1 and cautious and step is cautious[-1] and step is not stack[0] and cautious[-1] is not stack[-1]:
        words.append(Span("same numbers  ", "dim"))
    return row(*words)


def _line(stack: Sequence[Stacked], width: int) -> Row:
    pieces = [f"{_added(step)} {format_seconds(step.step_seconds)}" for step in stack]
    total = stack[-1].gain
    return crop(row(" → ".join(pieces), Span(f" = {_short(total)}" if total is not None else "", "strong")), width)


def _added(step: Stacked) -> str:
    return "+" + " +".join(clean(word) for word in step.added) if step.added else clean(step.label).partition(" ")[0]


def _ratio(gain: Gain | None) -> str:
    if gain is None:
        return "1.00×"
    known = gain.low is not None and gain.high is not None
    return f"{_short(gain)} [{gain.low:.2f} {gain.high:.2f}]" if known else _short(gain)


def _short(gain: Gain) -> str:
    return f"{gain.ratio:.2f}×"


def draw_next(taken: Mapping[str, Scalar], width: int, *, measurable: bool = False) -> Row:
    """What the next run has besides what is in use, and how to look at it; `measurable`: that something is not
    measured, and what measures it."""
    if not taken:
        same, takes = Span(" next run: the same settings", "dim"), row(Span("enter", "key"), Span(" takes one", "dim"))
        measures = row("`speedtui tune`", Span(" measures them", "dim")) if measurable else ()
        return pack([row(same), takes, measures], width)
    words = ", ".join(short_changes(taken))
    count = f"{len(taken)} setting{'s' * (len(taken) != 1)} differ{'s' * (len(taken) == 1)}"
    differ, back = row(Span("v", "key"), Span(f" {count}", "dim")), row(Span("u", "key"), Span(" takes back", "dim"))
    uses = row(Span(" next run will use ", "dim"), Span(clean(words), "good"))
    return spread(crop(uses, max(0, width - 40)), pack([differ, back], 44), width)
