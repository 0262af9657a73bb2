"""What the next run changes, setting by setting."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.config.live import LIVE_SETTINGS
from speedtui.tui.draft.draft import DraftChange
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, crop, pack, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import scrolled, title
from speedtui.tui.panes.plan_pane import PlanPane
from speedtui.tui.values import value_words

PATH_WIDTH, VALUE_WIDTH = 30, 16
"""At most: `schedule.fast_eval_every`; `1200 steps`."""


class DiffPane(PlanPane[DraftChange]):
    """In a frame where there is room, else in one or two rows."""

    def choices(self) -> list[DraftChange]:
        return self.next_run.draft.diff() if self.next_run is not None else []

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        diff = self.choices()
        training = frame.run.training is not None and frame.run.training.finished is None and frame.run.status.busy
        if height < 4:
            return draw_short(diff, width, height, training=training)
        return draw_diff(diff, self.at, width, height, training=training)


def draw_diff(diff: Sequence[DraftChange], at: int, width: int, height: int, *, training: bool) -> list[Row]:
    """The changes in a frame; `training`: some can go into the run in progress."""
    heading = title("Change to be written", Span(f"{len(diff)}", "dim") if diff else "")
    keys = row(Span("w", "key"), Span(" write  ", "dim"), Span("u", "key"), Span(" undo", "dim")) if diff else ()
    if not diff:
        words = wrap("Nothing is changed: the next run is like this one.", width - EDGES - INSET)
        rows = [*map(row, words), _hint(training, changed=False)]
        return bordered(heading, keys, rows, width, height)
    before = "running" if training else "this run"
    path = min(max(len(changed.path) for changed in diff) + 2, PATH_WIDTH)
    value = min(max(len(before), *(len(_words(v)) for one in diff for v in (one.before, one.after))), VALUE_WIDTH)
    head = row(Span(f"{'':<{path}}{before:>{value}}     next run", "dim"))
    rows = [_row(changed, path, value, training) for changed in diff]
    room = height - EDGES - 1
    shown = [crop(line, width - EDGES - INSET) for line in scrolled(rows, at, max(1, room - 1))]
    tail = [_hint(training, changed=True)] if len(shown) < room else []
    return bordered(heading, keys, [head, *shown, *tail], width, height)


def draw_short(diff: Sequence[DraftChange], width: int, height: int, *, training: bool) -> list[Row]:
    """The changes in a row, and where they go in another."""
    hint = row(" ", crop(_hint(training, changed=bool(diff)), width - 1))
    if not diff:
        return [row(Span(" diff ", "dim"), "nothing is changed"), hint][:height]
    pieces = [
        row(f"{_name(one.path)} ", Span(_words(one.before), "dim"), " → ", Span(_words(one.after), "accent"))
        for one in diff
    ]
    return [row(Span(" diff ", "dim"), pack(pieces, width - 6)), hint][:height]


def _row(changed: DraftChange, path: int, value: int, training: bool) -> Row:
    live = training and changed.path in LIVE_SETTINGS and changed.after is not None
    return row(
        cell(changed.path, path), cell(_words(changed.before), value, right=True, style="dim"),
        Span("  →  ", "dim"), cell(_words(changed.after), value, style="accent"),
        Span("  S" if live else "", "key"),
    )  # fmt: skip


def _words(value: object) -> str:
    return clean(value_words(value))


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _hint(training: bool, *, changed: bool) -> Row:
    """`training`: some of the changes can go into the run in progress."""
    if not changed:
        return row(Span("← →", "key"), Span(" changes a setting of the next run.", "dim"))
    take = row(Span(", ", "dim"), Span("S", "key"), Span(" takes it into this run (asks)", "dim")) if training else ()
    return row(Span("w", "key"), Span(" writes the next run", "dim"), take, Span(".", "dim"))
