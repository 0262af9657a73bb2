"""Bars, phase bars and sparklines, one terminal row high."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from speedtui.tui.drawing.text import Row, Span, row

FULL, EMPTY = "━", "─"
"""Heavy and light lines: they differ without colour, and bars in neighbouring rows do not run together."""
PHASE_LETTERS = {"forward": "F", "backward": "B", "optimizer": "O", "data": "D", "h2d": "d", "log": "L", "other": "X"}
"""`d` is the small sister of `D`: both bring data to the device."""
_BLOCKS = "▁▂▃▄▅▆▇█"


def bar(fraction: float | None, width: int, style: str = "bar") -> Row:
    """A share of a whole; only the light line where it is not known."""
    filled = 0 if fraction is None else round(min(1.0, max(0.0, fraction)) * width)
    if fraction and not filled:
        filled = 1  # something is not nothing
    return row(Span(FULL * filled, style), Span(EMPTY * (width - filled), "rest"))


def phase_bar(phases: Mapping[str, float], width: int) -> Row:
    """A mean step as letters, each phase as long as its share; rounded so that the widths add up."""
    total = sum(phases.values())
    if total <= 0 or width <= 0:
        return (Span(EMPTY * max(0, width), "rest"),)
    shares = {name: seconds / total * width for name, seconds in phases.items()}
    widths = {name: int(share) for name, share in shares.items()}
    by_remainder = sorted(shares, key=lambda name: widths[name] - shares[name])
    for name in by_remainder[: width - sum(widths.values())]:
        widths[name] += 1
    return row(*(phase_mark(name, widths[name]) for name in in_order(phases)))


def phase_mark(name: str, count: int = 1) -> Span:
    """A phase's letter in its colour; of one that only another version knows a question mark."""
    if name not in PHASE_LETTERS:
        return Span("?" * count, "phase-other")
    return Span(PHASE_LETTERS[name] * count, f"phase-{name}")


def in_order(phases: Mapping[str, float]) -> list[str]:
    """Phase names as they follow one another in the mock of a step: compute first, waiting after it."""
    known = [name for name in PHASE_LETTERS if name in phases]
    return known + [name for name in phases if name not in PHASE_LETTERS]


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


def sparkline(values: Sequence[float | None], width: int, top: float | None = None) -> str:
    """The last `width` values as blocks, from zero to `top` (their highest where it is not given)."""
    shown = values[-width:] if width > 0 else ()
    known = [value for value in shown if value is not None]
    highest = top if top is not None else max(known, default=0.0)
    if highest <= 0:
        return "".join(" " if value is None else _BLOCKS[0] for value in shown)
    return "".join(
        " " if value is None else _BLOCKS[min(len(_BLOCKS) - 1, int(value / highest * len(_BLOCKS)))] for value in shown
    )
