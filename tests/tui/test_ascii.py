"""Terminals that show nothing but ASCII get a stand-in for every sign, of the same width."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from pressing import settled
from pseudo_terminal import shown
from rich.cells import cell_len

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.ascii import SIGNS, to_ascii
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.terminal.theme import ascii_only, has_titles

OpenApp = Callable[..., SpeedtuiApp]
ROOT = Path(__file__).parents[2]
DRAWN = re.compile(r"[^\x00-\x7f]")


def test_every_sign_that_the_screen_can_draw_has_a_stand_in_of_its_own() -> None:
    sources = [*(ROOT / "tui").rglob("*.py"), *(ROOT / "engine").rglob("*.py")]
    drawn = {sign for source in sources for sign in DRAWN.findall(source.read_text())}
    assert len(drawn) > 30
    assert {sign: to_ascii(sign) for sign in drawn if to_ascii(sign) == "?"} == {}


@pytest.mark.parametrize("sign", [*SIGNS, "é", "模", "🙂", "\u0301", "⣀", "⡇", "⠉", "▟", "╬"])
def test_a_stand_in_is_ascii_and_as_wide_as_the_sign(sign: str) -> None:
    assert to_ascii(sign).isascii()
    assert len(to_ascii(sign)) == cell_len(sign)


@pytest.mark.parametrize(
    ("drawn", "sent"),
    [("⠉⠉", "''"), ("⣀⣀", "__"), ("⠤", "."), ("⠒", "-"), ("⡇", "|"), ("⢇", "\\"), ("⡸", "/"), ("⠀", " ")],
)
def test_a_curve_of_dots_keeps_its_heights_and_slopes(drawn: str, sent: str) -> None:
    assert to_ascii(drawn) == sent


def test_words_and_escape_sequences_are_left_alone() -> None:
    assert to_ascii("\x1b[1;31mon track\x1b[0m") == "\x1b[1;31mon track\x1b[0m"
    assert to_ascii("spare – 412 ms ±9 … café") == "spare - 412 ms ~9 . cafe"


@pytest.mark.parametrize(
    ("environ", "encoding", "ascii_is_needed"),
    [
        ({"TERM": "xterm-256color"}, "UTF-8", False),
        ({"TERM": "xterm-256color"}, "utf8", False),
        ({"TERM": "xterm"}, "ISO-8859-1", True),
        ({"TERM": "xterm"}, "ANSI_X3.4-1968", True),
        ({"TERM": "linux"}, "UTF-8", True),
    ],
)
def test_the_locale_and_the_console_decide(environ: dict[str, str], encoding: str, ascii_is_needed: bool) -> None:
    assert ascii_only(environ, encoding) is ascii_is_needed


def test_a_console_has_no_title() -> None:
    assert has_titles({"TERM": "screen"}) and has_titles({"TERM": "xterm"})
    assert not has_titles({"TERM": "linux"}) and not has_titles({"TERM": "dumb"}) and not has_titles({})


LOGS: dict[str, Callable[[], list[AnyEvent]]] = {
    "training": b.training_log, "late": b.late_training_log, "study": b.study_log, "idle": b.idle_study_log,
    "finished": b.finished_training_log, "loading": b.loading_log,
}  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("screen", ["monitor", "trials", "plan", "advisor"])
async def test_all_panes_of_all_screens_keep_their_widths(name: str, screen: str, open_app: OpenApp) -> None:
    async with open_app(LOGS[name](), start_screen=screen).run_test(size=(140, 40)) as pilot:
        await settled(pilot)
        rows = [(lines.size.width, plain(row)) for lines in pilot.app.screen.query(Lines) for row in lines.rows]
    assert any(DRAWN.search(text) for _, text in rows)
    for width, text in rows:
        assert to_ascii(text).isascii()
        assert len(to_ascii(text)) == cell_len(text) <= width
        assert [sign for sign in DRAWN.findall(text) if to_ascii(sign) == "?"] == []


@pytest.mark.parametrize(
    "env", [{"SPEEDTUI_TEST_LOOK": json.dumps({"ascii": True})}, {"TERM": "linux"}, {"LC_ALL": "C", "LANG": ""}]
)
def test_not_one_other_byte_reaches_the_terminal(env: dict[str, str], tmp_path: Path) -> None:
    with shown("training", tmp_path, 140, 40, env) as seen:
        seen.shows("ON TRACK")
        seen.type("?")
        seen.shows("Help")
        assert seen.terminal.sent.isascii()
