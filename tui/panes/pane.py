"""What all panes share: a pane shows a frame; it measures and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from speedtui.engine.state import RunState, RunStatus, TrialRow
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import Row, Span, row, width_of, wrap
from speedtui.tui.frame import Frame

STATUS_GLYPHS = {
    RunStatus.STARTING: "…", RunStatus.LOADING: "…", RunStatus.IDLE: "○", RunStatus.TUNING: "▶",
    RunStatus.TRAINING: "▶", RunStatus.PAUSED: "‖", RunStatus.LOST: "✗", RunStatus.FINISHED: "■",
    RunStatus.UNKNOWN: "?",
}  # fmt: skip
STATUS_STYLES = {
    RunStatus.IDLE: "accent", RunStatus.TUNING: "good", RunStatus.TRAINING: "good", RunStatus.PAUSED: "warn",
    RunStatus.LOST: "bad", RunStatus.UNKNOWN: "warn",
}  # fmt: skip


class Pane(Lines):
    """Draws a frame when it is due and again when its size changes."""

    SLOW: ClassVar[bool] = False
    """Drawn at most once a second: the sources of charts and devices change no faster."""
    FILTERED: ClassVar[bool] = False
    """Lists something that `/` can narrow down; it draws what has all words of `filter_text`."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.frame: Frame | None = None
        self.in_focus = False
        """Whether tab brought the keys here; told by the frame."""
        self.filter_text = ""

    def show(self, frame: Frame) -> None:
        """Takes a frame, and draws it if it is this pane's turn."""
        if self.frame is None or frame.every or self.due(frame):
            self.frame = frame
            self.redraw()

    def due(self, frame: Frame) -> bool:
        """Whether this frame is to be drawn."""
        return frame.slow_panes or not self.SLOW

    def redraw(self) -> None:
        """Draws the frame that it holds."""
        if self.frame is not None and self.size.area:
            rows = self.draw(self.frame, self.size.width, self.size.height)
            rows = with_way_back(rows) if self.has_class(ZOOM) else rows
            self.set_rows(in_focus(rows) if self.in_focus else rows)

    def filter(self, text: str) -> None:
        """Lists only what has all words of the text; everything with an empty one."""
        self.filter_text = text
        self.redraw()

    def draw(self, frame: Frame, width: int, height: int) -> Sequence[Row]:
        """The rows of a frame."""
        raise NotImplementedError

    def on_resize(self) -> None:
        self.redraw()


class TrialPane(Pane):
    """Draws the trial under the cursor of the Trials."""

    selected: int | None = None
    """By its number."""


def selected_trial(run: RunState, selected: int | None) -> TrialRow | None:
    """The trial of a number; None where there is none."""
    return run.study.row(selected) if run.study is not None and selected is not None else None


FOCUS_STYLES = {"frame": "accent", "title": "accent"}
ZOOM = "-zoom"
"""Class of the pane that stands alone on its screen, and of what it is in."""
WAY_BACK = " z back "
CORNER, FOCUS_CORNER = "╭─ ", "╭› "


def in_focus(rows: Sequence[Row]) -> list[Row]:
    """The rows of a pane with its frame and title made to stand out, and a sign before the title."""
    lines = [tuple(Span(text, FOCUS_STYLES.get(style, style)) for text, style in line) for line in rows]
    if lines and lines[0] and lines[0][0].text == CORNER:
        lines[0] = (Span(FOCUS_CORNER, "accent"), *lines[0][1:])
    return lines


def with_way_back(rows: Sequence[Row]) -> list[Row]:
    """The rows of a pane that stands alone, the key that ends it in the upper edge where there is room."""
    first = list(rows[0]) if rows else []
    for i, (text, style) in enumerate(first):
        if len(text) > 2 * len(WAY_BACK) and not text.strip("─"):
            first[i : i + 1] = [Span(text[len(WAY_BACK) :], style), Span(WAY_BACK, "dim")]
            return [tuple(first), *rows[1:]]
    return list(rows)


def matches(text: str, wanted: str) -> bool:
    """Whether all words of a filter occur in a text, whatever their case; an empty filter lets everything through."""
    found = text.casefold()
    return all(word in found for word in wanted.casefold().split())


def filter_note(wanted: str, found: int, total: int) -> Row:
    """For the title of a filtered pane: `/ data  3 of 41`; nothing without a filter."""
    return row(Span("/ ", "key"), Span(wanted, "accent"), Span(f"  {found} of {total}", "dim")) if wanted else ()


OUTCOME_WORDS = {
    "late": ("! finished late", "warn"), "stopped": ("■ stopped", "warn"), "failed": ("✗ failed", "bad"),
    "no_fit": ("✗ nothing fits", "bad"),
}  # fmt: skip


def status_span(run: RunState) -> Span:
    """Glyph and word; the colour only repeats them. A run that did not end well does not read like one that did."""
    if run.outcome in OUTCOME_WORDS:
        return Span(*OUTCOME_WORDS[run.outcome])
    if run.restarting:
        return Span("… restarting", "warn")
    return Span(f"{STATUS_GLYPHS[run.status]} {run.status.value}", STATUS_STYLES.get(run.status, "dim"))


def title(text: str, *parts: str | Span | Row) -> Row:
    """A pane's title and the figures beside it."""
    return row(Span(text, "title"), *(row("  ", part) for part in parts if part))


def lit(line: Row, width: int, *, here: bool) -> Row:
    """A row to its full width, marked where the cursor is on it."""
    if not here:
        return line
    marked = tuple(Span(text, f"cursor {style}".strip()) for text, style in line)
    return row(*marked, Span(" " * max(0, width - width_of(line)), "cursor"))


def scrolled(rows: Sequence[Row], at: int, height: int) -> Sequence[Row]:
    """As many rows as there is room for, the one at the cursor among them."""
    first = max(0, min(at - height // 2, len(rows) - height))
    return rows[first : first + height]


def empty_pane(heading: Row, text: str, width: int, height: int) -> list[Row]:
    """A box with nothing in it but why."""
    lines = [row(Span(line, "dim")) for line in wrap(text, max(1, width - EDGES - INSET))]
    return bordered(heading, (), middle(lines, height - EDGES), width, height)


def middle(text: Sequence[Row], height: int) -> list[Row]:
    """A short text a third of the way down an empty pane."""
    above = max(0, (height - len(text)) // 3)
    return [*[()] * above, *text]
