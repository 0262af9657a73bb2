"""Colours and the mouse: what a terminal gets, what a person changes, and that it is really so on the wire."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import builders as b
import pytest
from pressing import settled
from pseudo_terminal import Seen, left_behind, shown

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.commands import options
from speedtui.tui.terminal.theme import THEMES, choose_theme, no_colour

OpenApp = Callable[..., SpeedtuiApp]
COLOUR = re.compile(rb"\x1b\[[\d;]*?(?<!\d)(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m")
FEW_COLOURS = {"TERM": "xterm", "COLORTERM": ""}


def training(folder: Path, env: dict[str, str] | None = None, **look: object) -> AbstractContextManager[Seen]:
    """A training on a terminal, as it is asked to look."""
    return shown("training", folder, env={"SPEEDTUI_TEST_LOOK": json.dumps(look), **(env or {})})


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm-256color"}, "textual-dark"),
        ({"TERM": "xterm"}, "ansi-dark"),
        ({"TERM": "linux"}, "ansi-dark"),
        ({"TERM": "xterm", "COLORTERM": "truecolor"}, "textual-dark"),
        ({"TERM": "xterm-256color", "COLORFGBG": "0;15"}, "textual-light"),
        ({"TERM": "xterm", "COLORFGBG": "0;default;7"}, "ansi-light"),
        ({"TERM": "xterm-256color", "COLORFGBG": "15;0"}, "textual-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "ansi-dark"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "textual-dark"),
        ({"TERM": "xterm", "TEXTUAL_THEME": "nord"}, "nord"),
        ({"TERM": "xterm", "TEXTUAL_THEME": "nord", "NO_COLOR": "1"}, "ansi-dark"),
    ],
)
def test_a_terminal_gets_the_colours_that_it_can_show(environ: dict[str, str], theme: str) -> None:
    assert choose_theme(environ) == theme


def test_a_theme_asked_for_wins_over_everything() -> None:
    environ = {"TERM": "linux", "NO_COLOR": "1", "TEXTUAL_THEME": "nord"}
    assert choose_theme(environ, "textual-light", few_colours=True) == "textual-light"
    assert no_colour(environ) and not no_colour(environ, "textual-light")


def test_a_slow_connection_gets_few_colours() -> None:
    assert choose_theme({"TERM": "xterm-256color"}, few_colours=True) == "ansi-dark"


def test_the_help_names_the_themes_that_a_key_goes_through() -> None:
    assert options.THEMES == THEMES


@pytest.mark.asyncio
async def test_a_key_goes_through_all_themes_and_back_to_the_first(open_app: OpenApp) -> None:
    app = open_app(b.training_log(), theme=THEMES[0])
    seen = []
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        for _ in THEMES:
            await pilot.press("T")
            await settled(pilot)
            seen.append((app.theme, app.has_class("-plain")))
    assert [name for name, _ in seen] == [*THEMES[1:], THEMES[0]]
    assert all(plain == name.startswith("ansi") for name, plain in seen)


def test_without_colours_not_one_colour_is_sent(tmp_path: Path) -> None:
    with training(tmp_path, {"NO_COLOR": "1"}) as seen:
        seen.type("T")  # refused with a reason
        seen.shows("NO_COLOR is set")
        assert b"\x1b[1m" in seen.terminal.sent, "bold text stays bold"
        assert COLOUR.findall(seen.terminal.sent) == []


def test_few_colours_are_those_of_the_terminal(tmp_path: Path) -> None:
    with training(tmp_path, FEW_COLOURS) as seen:
        assert COLOUR.search(seen.terminal.sent)
        assert b"38;2;" not in seen.terminal.sent and b"38;5;" not in seen.terminal.sent


@pytest.mark.parametrize("env", [FEW_COLOURS, {"NO_COLOR": "1"}, {}], ids=["few", "none", "all"])
def test_a_dialog_stands_over_a_living_screen_in_any_colours(env: dict[str, str], tmp_path: Path) -> None:
    with training(tmp_path, env) as seen:
        seen.type("q")
        seen.shows("Leave?", "Deadline", "quit")
        seen.goes_on()
        assert "Leave?" in seen.text


def test_a_theme_asked_for_is_shown_in_spite_of_no_color(tmp_path: Path) -> None:
    with training(tmp_path, {"NO_COLOR": "1"}, theme="high-contrast") as seen:
        assert b"38;2;255;255;255" in seen.terminal.sent


def test_the_mouse_is_left_to_the_terminal_and_can_be_taken_and_given_back(tmp_path: Path) -> None:
    with training(tmp_path, mouse=False) as seen:
        assert b"\x1b[?1000h" not in seen.terminal.sent
        seen.type("M")
        seen.shows("Mouse on")
        assert b"\x1b[?1003h" in seen.terminal.sent and "mouse buttons" in left_behind(seen.terminal.sent)
        before = len(seen.terminal.sent)
        seen.type("M")
        seen.shows("Mouse off")
        assert all(f"\x1b[?{mode}l".encode() in seen.terminal.sent[before:] for mode in (1000, 1002, 1003, 1006))
