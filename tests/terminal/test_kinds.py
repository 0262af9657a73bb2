"""Terminals by the name that they give: what each is sent, and that each is left as it was."""

from __future__ import annotations

import re

import pyte
import pytest
from pseudo_terminal import left_behind
from remote import COLUMNS, ROWS, SPEEDTUI, OpenTerminal, Training

pytestmark = pytest.mark.slow

TITLE = b"\x1b]2;"
MANY_COLOURS = re.compile(rb"[34]8;[25];")


@pytest.mark.parametrize(
    ("term", "many_colours", "title", "ascii_only"),
    [
        ("xterm", False, True, False),
        ("xterm-256color", True, True, False),
        ("screen", False, True, False),
        ("screen-256color", True, True, False),
        ("linux", False, False, True),
    ],
)
def test_each_kind_of_terminal_gets_what_it_can_show(
    term: str, many_colours: bool, title: bool, ascii_only: bool, training: Training, open_terminal: OpenTerminal
) -> None:
    terminal = open_terminal(["/bin/sh", "-c", f"exec {training.attach}"], TERM=term, COLORTERM="")
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    stream.feed(terminal.read(30, until=b"Monitor"))
    stream.feed(terminal.read(2.5))
    shown = "\n".join(screen.display)
    assert "Deadline" in shown or "Step" in shown
    assert screen.display[ROWS - 1].strip(), "the footer is on the last row"
    assert bool(MANY_COLOURS.search(terminal.sent)) is many_colours
    assert (TITLE in terminal.sent) is title
    assert terminal.sent.isascii() is ascii_only
    terminal.type("q")
    terminal.read(10, until=b"Leave?")
    terminal.read(0.3)
    terminal.type("d")
    assert terminal.wait(10) == 0
    assert left_behind(terminal.sent) == []


def test_a_dumb_terminal_gets_plain_lines(training: Training, open_terminal: OpenTerminal) -> None:
    terminal = open_terminal(["/bin/sh", "-c", f"exec {training.attach}"], TERM="dumb")
    said = terminal.read(20, until=b"step")
    assert b"step" in said
    assert b"\x1b" not in terminal.sent
    assert training.goes_on()


def test_the_options_of_the_screen_reach_it(training: Training, open_terminal: OpenTerminal) -> None:
    command = f"{SPEEDTUI} --ascii attach --link slow --runs {training.runs} {training.folder.id}"
    terminal = open_terminal(["/bin/sh", "-c", f"exec {command}"], SPEEDTUI_RATE="0.2")
    terminal.read(30, until=b"0.2 Hz")
    assert b"Monitor" in terminal.sent and b"0.2 Hz" in terminal.sent
    assert terminal.sent.isascii()
    assert b"\x1b[?1000h" not in terminal.sent
    assert not MANY_COLOURS.search(terminal.sent)
