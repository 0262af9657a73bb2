"""Only the cells that changed are sent."""

from __future__ import annotations

import pyte
import pytest
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate
from textual.strip import Strip

from speedtui.tui.textual_privates import TightUpdate, tightened

RED, BLUE = Style(color="red"), Style(color="blue")
CONSOLE = Console(force_terminal=True, color_system="standard")


def strip(*parts: tuple[str, Style]) -> Strip:
    return Strip([Segment(text, style) for text, style in parts])


def update(spans: list[tuple[int, int, int]]) -> ChopsUpdate:
    """Two panes beside each other, two rows."""
    rows = [
        {0: strip(("ab", RED), ("cdef", RED), ("ghij", BLUE)), 10: strip(("klmnopqrst", BLUE))},
        {0: strip(("0123456789", RED)), 10: strip(("ABCDEFGHIJ", RED))},
    ]
    return ChopsUpdate(rows, spans, [[10, 20], [10, 20]])


def shown(sent: str) -> list[str]:
    screen = pyte.Screen(20, 2)
    pyte.Stream(screen).feed("\x1b[H" + "." * 20 + "\x1b[2;1H" + "." * 20 + sent)
    return list(screen.display)


@pytest.mark.parametrize(
    ("spans", "rows"),
    [
        ([(0, 3, 5)], ["...de...............", "." * 20]),
        ([(0, 8, 12)], ["........ijkl........", "." * 20]),
        ([(1, 0, 20)], ["." * 20, "0123456789ABCDEFGHIJ"]),
        ([(0, 19, 20), (1, 10, 11)], ["...................t", "..........A........."]),
        ([(0, 10, 20), (1, 0, 10)], ["..........klmnopqrst", "0123456789.........."]),
    ],
)
def test_a_terminal_shows_the_marked_cells_and_keeps_the_others(
    spans: list[tuple[int, int, int]], rows: list[str]
) -> None:
    tight = tightened(update(spans))
    assert isinstance(tight, TightUpdate)
    assert shown(tight.render_segments(CONSOLE)) == rows


def test_a_change_of_two_cells_costs_a_move_a_colour_and_two_characters() -> None:
    tight = tightened(update([(0, 3, 5)]))
    assert isinstance(tight, TightUpdate)
    assert tight.render_segments(CONSOLE) == "\x1b[1;4H\x1b[31mde\x1b[0m"


def test_neighbours_in_one_style_are_sent_together() -> None:
    tight = tightened(update([(0, 0, 10)]))
    assert isinstance(tight, TightUpdate)
    assert tight.render_segments(CONSOLE) == "\x1b[1;1H\x1b[31mabcdef\x1b[0m\x1b[34mghij\x1b[0m"


def test_whole_screens_are_sent_as_they_are() -> None:
    assert tightened("text") == "text" and tightened(None) is None
