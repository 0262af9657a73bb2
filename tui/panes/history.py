"""What a quantity was over the last minutes, as blocks in one row."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.tui.drawing.bars import sparkline
from speedtui.tui.drawing.text import Span
from speedtui.tui.frame import TimeRange

STRETCH_WORDS: dict[TimeRange, str] = {"run": "10 min", "10m": "10 min", "1m": "1 min"}
"""What sparklines show; they go back ten minutes at most."""


def history(values: Sequence[float | None], width: int, top: float | None = None) -> Span:
    """All values in at most `width` cells: with more of them than cells, each cell is the mean of its share."""
    return Span(sparkline(_grouped(values, width), width, top), "history")


def _grouped(values: Sequence[float | None], width: int) -> list[float | None]:
    count = len(values)
    if count <= width:
        return list(values)
    pieces = [values[i * count // width : (i + 1) * count // width] for i in range(width)]
    known = [[value for value in piece if value is not None] for piece in pieces]
    return [sum(piece) / len(piece) if piece else None for piece in known]
