"""Terminals by the name that they give: what each is sent, and that each is left as it was."""

from __future__ import annotations

import re

import pytest
from pseudo_terminal import left_behind
from remote import SPEEDTUI, OpenTerminal, Training

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
    seen = open_terminal(["/bin/sh", "-c", f"exec {training.attach}"], TERM=term, COLORTERM="")
    seen.shows("Monitor", "Step", "Loss")
    seen.goes_on()
    seen.until(lambda _: TITLE in seen.terminal.sent or not title)
    assert seen.rows[-1].strip(), "the footer is on the last row"
    assert seen.leave() == 0
    sent = seen.terminal.sent
    assert bool(MANY_COLOURS.search(sent)) is many_colours
    assert (TITLE in sent) is title
    assert sent.isascii() is ascii_only
    assert left_behind(sent) == []


def test_a_dumb_terminal_gets_plain_lines(training: Training, open_terminal: OpenTerminal) -> None:
    seen = open_terminal(["/bin/sh", "-c", f"exec {training.attach}"], TERM="dumb")
    seen.shows("step")
    assert b"\x1b" not in seen.terminal.sent
    assert training.goes_on()


def test_the_options_of_the_screen_reach_it(training: Training, open_terminal: OpenTerminal) -> None:
    command = f"{SPEEDTUI} --ascii attach --link slow --runs {training.runs} {training.folder.id}"
    seen = open_terminal(["/bin/sh", "-c", f"exec {command}"], SPEEDTUI_RATE="0.2")
    seen.shows("Monitor", "0.2 Hz", "Step")
    sent = seen.terminal.sent
    assert sent.isascii()
    assert b"\x1b[?1000h" not in sent
    assert not MANY_COLOURS.search(sent)
