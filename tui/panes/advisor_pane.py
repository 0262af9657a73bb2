"""What the Advisor's panes share: the strategies of a moment, the cursor, and what the next run has of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from speedtui.engine.advise.diagnosis import Diagnosis
from speedtui.engine.advise.strategies import Advised
from speedtui.engine.advise.strategy import AdvisorStrategy, held
from speedtui.engine.config.settings import Scalar
from speedtui.tui.drawing.text import Row, Span
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane

STATE_WORDS: dict[str, tuple[str, str]] = {
    "applied": ("✓ in use", "good"), "ready": ("+ enter takes", "accent"), "unproven": ("? unproven", "warn"),
    "not_worth_it": ("- not worth it", "dim"), "to_probe": ("b to probe", "key"), "queued": ("… queued", "accent"),
    "not_possible": ("✗ does not fit", "bad"), "next": ("→ next run", "good"),
}  # fmt: skip
"""Word and style; a sign before the word tells them apart without colour."""


class AdvisorPicture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture of the Advisor."""

    advised: Advised = Advised()
    diagnosis: Diagnosis = Diagnosis()
    rows: tuple[AdvisorStrategy, ...] = ()
    """Those listed: sorted, and only what the filter lets through."""
    total: int = 0
    """How many there are without the filter."""
    filter_text: str = ""
    at: int = 0
    """The row under the cursor."""
    taken: Mapping[str, Scalar] = {}
    """What the next run has besides what is in use, by path."""
    probes: bool = False
    """A study is open and takes candidates."""
    sorted_by: str = "gain"

    @property
    def selected(self) -> AdvisorStrategy | None:
        return self.rows[self.at] if self.at < len(self.rows) else None


class AdvisorPane(Pane):
    """Draws what the screen hands it beside the frame."""

    shown: AdvisorPicture = AdvisorPicture()

    def draw(self, frame: Frame, width: int, height: int) -> Sequence[Row]:
        return self.lines(self.shown, frame, width, height)

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        """The rows of a picture."""
        raise NotImplementedError


def state_span(strategy: AdvisorStrategy, shown: AdvisorPicture) -> Span:
    """A strategy's state in words; what is taken for the next run says so whatever it was before."""
    taken = strategy.state != "applied" and held(strategy.values, shown.taken)
    word, style = STATE_WORDS["next" if taken else strategy.state]
    if strategy.state == "to_probe" and not taken and not shown.probes:
        word, style = "· not measured", "dim"
    if strategy.state == "not_possible" and "memory" not in strategy.evidence:
        word = "✗ not here"
    if strategy.live and not taken:
        word = "l takes it now"
    return Span(word, style)
