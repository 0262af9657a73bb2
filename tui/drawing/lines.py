"""The widget that every pane is drawn on: rows of text of which only the changed spans are sent to the terminal.

Textual has no cell diff: `refresh()` repaints a widget's whole region. Over a slow connection that is
most of the traffic, so the rows are compared here and only what differs is marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from speedtui.tui.drawing.text import Row, fit

MERGE_CELLS = 8
"""Changes nearer than this go out as one: a cursor move and a colour cost about as many bytes."""


class Lines(Widget):
    """Shows rows of exactly its size; `set_rows` redraws what differs."""

    STYLES: ClassVar[tuple[str, ...]] = (
        "dim", "strong", "frame", "title", "good", "warn", "bad", "accent", "key", "off", "cursor", "tab", "bar",
        "rest", "curve", "history", "mark", "limit", "phase-forward", "phase-backward", "phase-optimizer",
        "phase-data", "phase-h2d", "phase-log", "phase-other",
    )  # fmt: skip
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"lines--{name}" for name in STYLES}

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Row] = []
        self._styles_by_names: dict[str, Style] = {}

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Shows these rows, cut and filled to the widget's size."""
        width, height = self.size
        new = [fit(line, width) for line in rows[:height]]
        new += [fit((), width)] * (height - len(new))
        old, self.rows = self.rows, new
        if len(old) != len(new):
            self.refresh()
            return
        regions = [
            Region(start, y, end - start, 1)
            for y, (before, after) in enumerate(zip(old, new, strict=True))
            if before != after
            for start, end in changed_spans(before, after)
        ]
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """One row for the compositor."""
        width = self.size.width
        if y >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        strip = Strip([Segment(text, self._style(style)) for text, style in self.rows[y]])
        return strip.adjust_cell_length(width, self.rich_style)

    def notify_style_update(self) -> None:
        """The theme changed: colours are worked out again."""
        super().notify_style_update()
        self._styles_by_names.clear()

    def _style(self, names: str) -> Style:
        """The names' styles one over the other, shades blended into the background."""
        if names not in self._styles_by_names:
            self._styles_by_names[names] = self._blend(names.split())
        return self._styles_by_names[names]

    def _blend(self, names: list[str]) -> Style:
        _, _, background, color = self.colors
        text_style = Style()
        for name in names:
            rules = self.get_component_styles(f"lines--{name}")
            if rules.has_rule("background"):
                background = _over(background, rules.background)
            if rules.has_rule("color"):
                color = rules.color
            if rules.has_rule("text_style"):
                text_style += rules.text_style
        shown = _over(background, color)
        return Style(color=shown.rich_color, bgcolor=background.rich_color) + text_style


def _over(below: Color, color: Color) -> Color:
    """The terminal's own colours know no shades and are taken as they are."""
    return color if color.ansi is not None or below.ansi is not None else below + color


def changed_spans(before: Row, after: Row) -> list[tuple[int, int]]:
    """The column ranges, end excluded, that differ; the whole row where the widths are not plain."""
    old, new = list(_cells(before)), list(_cells(after))
    width = sum(cell_len(span.text) for span in after)
    if len(old) != len(new) or len(new) != width:
        return [(0, width)]
    spans: list[tuple[int, int]] = []
    for x, (was, now) in enumerate(zip(old, new, strict=True)):
        if was == now:
            continue
        if spans and x - spans[-1][1] < MERGE_CELLS:
            spans[-1] = (spans[-1][0], x + 1)
        else:
            spans.append((x, x + 1))
    return spans


def _cells(line: Row) -> Iterator[tuple[str, str]]:
    for text, style in line:
        for character in text:
            yield character, style
