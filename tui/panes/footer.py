"""The keys of this screen, from the key table; those that do nothing now are greyed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import cast

from speedtui.tui.drawing.text import Row, Span, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Key, Scope, Situation, keys_of
from speedtui.tui.keys.table import AS_SHIPPED, Keymap
from speedtui.tui.panes.pane import Pane
from speedtui.tui.protocols import ShownRuns

LAST = ("help", "leave")
"""Always shown, at the end: how to learn the rest and how to get out."""
BEFORE_LAST = ("screen.palette",)
"""Shown before any other key of lesser use: it lists those that found no room."""

EARLY, EARLY_AT = "run.stop", 3
"""On the Monitor the end of a run stands beside its pause, evaluation and checkpoint."""


class Footer(Pane):
    """Shows the keys of one scope and those that work everywhere."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(id="footer")
        self._scope: Scope = scope
        self.situation: Situation | None = None

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        now = self.situation or Situation(run=frame.run, study=frame.study)
        return draw_footer(self._scope, now, width, height, cast(ShownRuns, self.app).options.keymap)


def draw_footer(
    scope: Scope, now: Situation, width: int, height: int, keymap: Keymap = AS_SHIPPED
) -> list[Row]:  # fmt: skip
    """The keys in up to `height` rows; where they do not all fit, the later ones of the table are left out."""
    everywhere = list(keys_of("everywhere", keymap))
    replay = keys_of("replay", keymap) if now.replaying else ()
    labelled = [key for key in (*replay, *keys_of(scope, keymap), *everywhere) if key.label and not key.gone(now)]
    end = [[key] for key in labelled if key.id in LAST]
    palette = [[key] for key in labelled if key.id in BEFORE_LAST]
    others = [list(group) for _, group in groupby(
        (key for key in labelled if key.id not in LAST + BEFORE_LAST), key=lambda key: (key.scope, key.label)
    )]  # fmt: skip
    if scope == "monitor":
        others = sorted(others, key=partial(_place, all_keys=others))
    for short, count in ((False, len(others)), *((True, count) for count in range(len(others), -1, -1))):
        for rest in (palette + end, end) if not count else (palette + end,):
            rows = _flow([*others[:count], *rest], now, width, short=short)
            if len(rows) <= height and max(map(width_of, rows)) <= width:
                return rows
    return rows[:height]


def _place(keys: Sequence[Key], all_keys: Sequence[Sequence[Key]]) -> float:
    return EARLY_AT - 0.5 if keys[0].id == EARLY else all_keys.index(keys)


def _flow(pieces: Sequence[Sequence[Key]], now: Situation, width: int, *, short: bool) -> list[Row]:
    rows: list[Row] = [()]
    for keys in pieces:
        piece = _piece(keys, now, short=short)
        if rows[-1] and width_of(rows[-1]) + width_of(piece) > width:
            rows.append(())
        rows[-1] = row(rows[-1], piece)
    return rows


def _piece(keys: Sequence[Key], now: Situation, *, short: bool) -> Row:
    """` [ ] rate `: neighbours with the same label in one; in grey where none of them does anything now."""
    works = any(key.allowed(now) for key in keys)
    shown = " ".join(key.shown for key in keys)
    return row(
        Span(f" {shown}", "key" if works else "off"),
        Span(f" {keys[0].label_now(now, short=short)} ", "dim" if works else "off"),
    )
