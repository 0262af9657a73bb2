"""Rows of styled text: built, cut and padded as plain values, so that a pane can be tested without a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from speedtui.engine.clean import clean as clean  # of what is drawn, too
from speedtui.engine.units import format_span, zone_beside


class Span(NamedTuple):
    """Text in one style; `style` holds names of `Lines` component classes, separated by spaces."""

    text: str
    style: str = ""


Row = tuple[Span, ...]
UNITS = frozenset(
    ["µs", "ms", "s", "%", "B", "KiB", "MiB", "GiB", "TiB", "B/s", "KiB/s", "MiB/s", "GiB/s", "W", "°C", "MHz"]
)
"""That stand after a number, with a space between."""
LEAST_TEXT = 8
"""Cells that a text gets at least beside what stands left of it."""


def row(*parts: str | Span | Row) -> Row:
    """One row of strings, spans and other rows."""
    spans: list[Span] = []
    for part in parts:
        if isinstance(part, Span):
            spans.append(part)
        elif isinstance(part, str):
            spans.append(Span(part))
        else:
            spans.extend(part)
    return tuple(span for span in spans if span.text)


def width_of(line: Row) -> int:
    """Terminal cells that it takes."""
    cells = 0
    for text, _ in line:
        cells += len(text) if text.isascii() and text.isprintable() else cell_len(text)
    return cells


def plain(line: Row) -> str:
    return "".join(span.text for span in line)


def crop(line: Row, width: int) -> Row:
    """At most `width` cells of clean text; what was cut off is marked with an ellipsis."""
    if width <= 0:
        return ()
    line = _clean(line)
    if width_of(line) <= width:
        return line
    kept: list[Span] = []
    room = width - 1
    for text, style in line:
        cells = cell_len(text)
        if cells > room:
            kept.append(Span(set_cell_size(text, room) + "…", style))
            return row(*kept)
        kept.append(Span(text, style))
        room -= cells
    return row(*kept)


def fit(line: Row, width: int) -> Row:
    """Exactly `width` cells, of clean text."""
    line = _clean(line)
    missing = width - width_of(line)
    if missing < 0:
        line = crop(line, width)
        missing = width - width_of(line)
    return (*line, Span(" " * missing)) if missing > 0 else line


def _clean(line: Row) -> Row:
    texts = [text for text, _ in line]
    shown = [clean(text) for text in texts]
    return line if shown == texts else tuple(Span(text, span.style) for text, span in zip(shown, line, strict=True))


def spread(left: Row, right: Row, width: int) -> Row:
    """One text at each end; the right one gives way."""
    gap = width - width_of(left) - width_of(right)
    return row(left, " " * gap, right) if gap >= 1 or (gap == 0 and not right) else fit(left, width)


def pack(pieces: Iterable[Row], width: int, gap: str = "   ") -> Row:
    """As many pieces as there is room for, the first ones first; a later, shorter one may still find room."""
    packed: Row = ()
    for piece in pieces:
        if not piece:
            continue
        longer = row(packed, gap, piece) if packed else piece
        if width_of(longer) <= width:
            packed = longer
        elif not packed:
            packed = crop(piece, width)
    return packed


def cell(text: str, width: int, *, right: bool = False, style: str = "") -> Span:
    """A table's cell of exactly `width` terminal cells; the text is cleaned."""
    text = clean(text)
    if cell_len(text) > width:
        return Span(set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width), style)
    space = " " * (width - cell_len(text))
    return Span(space + text if right else text + space, style)


def wrap(text: str, width: int, most: int | None = None) -> list[str]:
    """Lines of at most `width` cells, broken at spaces where there are any; `most`: as many of them at most, the last
    one with an ellipsis where more is left out."""
    lines = _wrapped(text, width)
    if most is None or len(lines) <= most:
        return lines
    if most < 1:
        return []
    last = lines[most - 1]
    return [*lines[: most - 1], plain(crop(row(f"{last} {lines[most]}"), width)) if width > 1 else "…"]


def _wrapped(text: str, width: int) -> list[str]:
    lines: list[str] = []
    line = ""
    for word in _words(clean(text).split()):
        while cell_len(word) > width > 0:
            if line:
                lines.append(line)
                line = ""
            piece = set_cell_size(word, width).rstrip()
            lines.append(piece)
            word = word[len(piece) :]
        joined = f"{line} {word}" if line else word
        if cell_len(joined) <= width:
            line = joined
        else:
            lines.append(line)
            line = word
    return [*lines, line] if line else lines


def _words(texts: Iterable[str]) -> Iterator[str]:
    """With a number and its unit as one: at the end of a line `6.2` is of nothing."""
    held = ""
    for text in texts:
        if held and text.rstrip(".,:;)") in UNITS:
            held = f"{held} {text}"
            continue
        if held:
            yield held
        held = text
        if not text[-1].isdigit():
            yield held
            held = ""
    if held:
        yield held


def hanging(head: Row, text: str, width: int, most: int | None = None) -> list[Row]:
    """A text right of a head, its further rows below its first one; `most`: as many of them at most."""
    first, *rest = wrap(text, max(LEAST_TEXT, width - width_of(head)), most) or [""]
    return [row(head, first), *(row(" " * width_of(head), line) for line in rest)]


def labelled(label: str, pieces: Sequence[Row], width: int, label_width: int) -> Row:
    """A row of a detail list: a quiet label and what belongs to it."""
    return row(cell(label, label_width, style="dim"), pack(pieces, width - label_width))


def roughly(seconds: float) -> str:
    """A stretch of time; from ten minutes on without the seconds, which nobody can rely on."""
    text = format_span(seconds)
    return text.rpartition(" ")[0] if abs(seconds) >= 600 and text.endswith("s") else text


def clock(epoch: float, reference: float) -> str:
    """Local time of day; with the weekday, or the date, where that is not the reference's day, and with the zone where
    the clocks are changed between the two."""
    then, day = datetime.fromtimestamp(epoch), datetime.fromtimestamp(reference)
    days = abs((then.date() - day.date()).days)
    form = "%H:%M" if days == 0 else "%a %H:%M" if days < 7 else "%d %b %H:%M"
    return f"{then:{form}}{zone_beside(epoch, reference)}"
