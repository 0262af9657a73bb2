"""The profile of the next run, chosen from all there are."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from speedtui.engine.units import format_span
from speedtui.tui.draft.next_run import NextRun, NextRunRow
from speedtui.tui.drawing.text import Row, Span, clean, pack, row, wrap
from speedtui.tui.panes.plan_profiles import draw_lines
from speedtui.tui.screens.dialog import CURSOR_KEYS, Dialog
from speedtui.tui.values import value_words

MOST_CHANGES = 6
"""Settings told of the one under the cursor."""


class ProfilesScreen(Dialog[tuple[str, str] | None]):
    """Comes back with (`take`, `save` or `train`, the name), or None."""

    WIDEST = 104
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,p", "dismiss(None)", "back", show=False),
        *CURSOR_KEYS,
        Binding("enter", "answer('take')", "take", show=False),
        Binding("s", "answer('save')", "save", show=False),
        Binding("t", "answer('train')", "train", show=False),
    ]

    def __init__(self, shown: NextRun, *, can_train: bool) -> None:
        super().__init__("Profile of the next run")
        self._shown, self._can_train = shown, can_train
        self.cursor = next((i for i, line in enumerate(shown.lines) if line.taken), 0)

    def body(self, width: int) -> list[Row]:
        lines = self._shown.lines
        room = max(3, self.app.size.height - 10)
        rows = draw_lines(lines, self._shown.now, self.cursor, self.cursor, width, room)
        return [*rows, (), *draw_details(lines[self.cursor], width), (), pack(self._keys(), width, "  ")]

    def hint(self, *, cut: bool) -> Row:
        return row(Span("esc", "key"), Span(" back", "dim"))

    def _keys(self) -> list[Row]:
        train = "key" if self._can_train else "off"
        return [
            row(Span("enter", "key"), Span(" next run takes it", "dim")),
            row(Span("s", "key"), Span(" save as", "dim")),
            row(Span("t", train), Span(" train with it now", "dim" if self._can_train else "off")),
        ]

    def count(self) -> int:
        return len(self._shown.lines)

    def action_answer(self, action: str) -> None:
        if action == "train" and not self._can_train:
            self.app.notify("The device is not free: the run in progress has it.", severity="warning")
            return
        self.dismiss((action, self._shown.lines[self.cursor].option.name))


def draw_details(line: NextRunRow, width: int) -> list[Row]:
    """What the choice is, what it changes and what it gives up."""
    option = line.option
    texts = [option.description, _changes(line), option.note]
    if line.estimate is not None:
        terms = [f"{name} {format_span(seconds)}" for name, seconds in line.estimate.terms.items() if seconds >= 0.5]
        texts.append(f"{line.estimate.total_steps} steps: {', '.join(terms)}")
    elif not option.note:
        texts.append("Nothing is known of its time: R on the Plan (3) measures or predicts it.")
    return [row(Span(part, "dim")) for text in texts if text for part in wrap(clean(text), width, 2)]


def _changes(line: NextRunRow) -> str:
    """`sets micro_batch_size 8, max_length 1024`."""
    pairs = [f"{path.rpartition('.')[2]} {value_words(value)}" for path, value in line.option.values.items()]
    more = f" and {len(pairs) - MOST_CHANGES} more" if len(pairs) > MOST_CHANGES else ""
    return f"sets {', '.join(pairs[:MOST_CHANGES])}{more}" if pairs else "the settings of this run"
