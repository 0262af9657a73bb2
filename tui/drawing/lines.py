"""The widget that every pane is drawn on: rows of text of which only the changed spans are sent to the terminal.

Textual has no cell diff: `refresh()` repaints a widget's whole region. Over a slow connection that is
most of the traffic, so the rows are compared here and only what differs is marked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region, Size
from textual.reactive import var
from textual.strip import Strip
from textual.widget import Widget

from speedtui.tui.drawing.text import Row, clean, fit

MERGE_CELLS = 8
"""Changes nearer than this go out as one: a cursor move and a colour cost about as many bytes."""

STYLES = (
    "dim", "strong", "frame", "title", "good", "warn", "bad", "accent", "key", "off", "cursor", "tab", "bar", "rest",
    "curve", "history", "mark", "limit", "phase-forward", "phase-backward", "phase-optimizer", "phase-data",
    "phase-h2d", "phase-log", "phase-other",
)  # fmt: skip
COMPONENTS = {f"lines--{name}" for name in STYLES}
"""Component classes of the app and not of each widget: Textual works all of them out for a widget that has them
whenever one of its classes changes, which for each pane of a screen would be most of what a key takes."""


class Lines(Widget):
    """Shows rows of exactly its size; `set_rows` redraws what differs."""

    virtual_size = var(Size(0, 0))
    """Nothing here scrolls: another size asks for no second layout, which would paint the screen again."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.rows: list[Row] = []
        self._fits: list[tuple[Row, Row]] = []
        """(as it was given, cut and filled to this width) of each row given last."""
        self._width = -1
        self._styles_by_names: dict[str, Style] = {}

    def set_rows(self, rows: Sequence[Row]) -> None:
        """Shows these rows, cut and filled to the widget's size."""
        height = self.size.height
        new = self._fitted([*rows[:height], *[()] * (height - len(rows))])
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

    def _fitted(self, rows: Sequence[Row]) -> list[Row]:
        """The rows cut and filled; one that is given again is not worked out again."""
        width = self.size.width
        if width != self._width or len(rows) != len(self._fits):
            self._width, self._fits = width, [(line, fit(line, width)) for line in rows]
        else:
            pairs = zip(rows, self._fits, strict=True)
            self._fits = [known if line == known[0] else (line, fit(line, width)) for line, known in pairs]
        return [fitted for _, fitted in self._fits]

    def render_line(self, y: int) -> Strip:
        """One row for the compositor; nothing in it is a command to the terminal, whatever a pane left in."""
        width = self.size.width
        if y >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        strip = Strip([Segment(clean(text), self._style(style)) for text, style in self.rows[y]])
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
            rules = self.app.get_component_styles(f"lines--{name}")
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
