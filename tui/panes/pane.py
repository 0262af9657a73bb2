"""What all panes share: a pane shows a frame; it measures and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import Row, Span, row
from speedtui.tui.frame import Frame

STATUS_GLYPHS = {
    RunStatus.STARTING: "…", RunStatus.LOADING: "…", RunStatus.IDLE: "○", RunStatus.TUNING: "▶",
    RunStatus.TRAINING: "▶", RunStatus.PAUSED: "‖", RunStatus.LOST: "✗", RunStatus.FINISHED: "■",
}  # fmt: skip
STATUS_STYLES = {
    RunStatus.IDLE: "accent", RunStatus.TUNING: "good", RunStatus.TRAINING: "good", RunStatus.PAUSED: "warn",
    RunStatus.LOST: "bad",
}  # fmt: skip


class Pane(Lines):
    """Draws a frame when it is due and again when its size changes."""

    SLOW: ClassVar[bool] = False
    """Drawn at most once a second: the sources of charts and devices change no faster."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.frame: Frame | None = None

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
            self.set_rows(self.draw(self.frame, self.size.width, self.size.height))

    def draw(self, frame: Frame, width: int, height: int) -> Sequence[Row]:
        """The rows of a frame."""
        raise NotImplementedError

    def on_resize(self) -> None:
        self.redraw()


OUTCOME_WORDS = {
    "late": ("! finished late", "warn"), "stopped": ("■ stopped", "warn"), "failed": ("✗ failed", "bad"),
    "no_fit": ("✗ nothing fits", "bad"),
}  # fmt: skip


def status_span(run: RunState) -> Span:
    """Glyph and word; the colour only repeats them. A run that did not end well does not read like one that did."""
    if run.outcome in OUTCOME_WORDS:
        return Span(*OUTCOME_WORDS[run.outcome])
    return Span(f"{STATUS_GLYPHS[run.status]} {run.status.value}", STATUS_STYLES.get(run.status, "dim"))


def title(text: str, *parts: str | Span | Row) -> Row:
    """A pane's title and the figures beside it."""
    return row(Span(text, "title"), *(row("  ", part) for part in parts if part))


def middle(text: Sequence[Row], height: int) -> list[Row]:
    """A short text a third of the way down an empty pane."""
    above = max(0, (height - len(text)) // 3)
    return [*[()] * above, *text]
