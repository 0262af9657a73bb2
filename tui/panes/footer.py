"""The keys of this screen, from the key table; those that do nothing now are greyed."""

from __future__ import annotations

from speedtui.tui.drawing.text import Row, Span, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Key, Scope, Situation, keys_of
from speedtui.tui.panes.pane import Pane

LAST = ("help", "leave")
"""Always shown, at the end: how to learn the rest and how to get out."""


class Footer(Pane):
    """Shows the keys of one scope and those that work everywhere."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(id="footer")
        self._scope: Scope = scope
        self.situation: Situation | None = None

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        now = self.situation or Situation(run=frame.run, study=frame.study)
        return draw_footer(self._scope, now, width, height)


def draw_footer(scope: Scope, now: Situation, width: int, height: int) -> list[Row]:
    """The keys in up to `height` rows; where they do not all fit, the later ones of the table are left out."""
    everywhere = list(keys_of("everywhere"))
    end = [key for key in everywhere if key.id in LAST]
    replay = keys_of("replay") if now.replaying else ()
    others = [key for key in (*replay, *keys_of(scope), *everywhere) if key.label and key not in end]
    for count in range(len(others), -1, -1):
        rows = _flow([*others[:count], *end], now, width)
        if len(rows) <= height:
            return rows
    return rows[:height]


def _flow(keys: list[Key], now: Situation, width: int) -> list[Row]:
    rows: list[Row] = [()]
    for key in keys:
        works = key.allowed(now)
        piece = row(
            Span(f" {key.shown}", "key" if works else "off"), Span(f" {key.label_now(now)} ", "dim" if works else "off")
        )
        if rows[-1] and width_of(rows[-1]) + width_of(piece) > width:
            rows.append(())
        rows[-1] = row(rows[-1], piece)
    return rows
