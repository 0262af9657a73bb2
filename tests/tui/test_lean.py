"""Styles are parsed once and worked out once, a dialog is drawn once, and every colour is still the theme's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import builders as b
import pytest
from pressing import settled
from pseudo_terminal import Seen, shown
from rich.cells import cell_len
from rich.style import Style
from textual.pilot import Pilot

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import COMPONENTS, STYLES, Lines
from speedtui.tui.drawing.text import Span, fit, row, width_of
from speedtui.tui.terminal.theme import THEMES

OpenApp = Callable[..., SpeedtuiApp]
SCREENS = ("2", "3", "4", "1")


async def press(pilot: Pilot[None], *keys: str) -> None:
    for key in keys:
        await pilot.press(key)
        await settled(pilot)


def styles_of(app: SpeedtuiApp) -> dict[str, list[Style]]:
    """What every name of a style looks like in each pane of the screen in front."""
    return {name: [pane._style(name) for pane in app.screen.query(Lines)] for name in STYLES}


@pytest.mark.asyncio
async def test_screens_that_are_seen_for_the_first_time_have_no_style_file_parsed_again(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        parsed = [rule for rule in app.stylesheet.rules if not rule.is_default_rules]
        await press(pilot, *SCREENS, "question_mark", "escape")
        kept = set(map(id, app.stylesheet.rules))
        assert parsed and all(id(rule) in kept for rule in parsed)


@pytest.mark.asyncio
async def test_text_styles_belong_to_the_app_and_not_to_each_pane(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, *SCREENS)
        assert set(app._component_styles) >= COMPONENTS
        assert not any(pane._component_styles for pane in app.screen.query(Lines))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.asyncio
async def test_a_screen_that_was_hidden_while_the_theme_changed_looks_as_one_opened_with_it(
    open_app: OpenApp, theme: str
) -> None:
    fresh = open_app(b.training_log(), theme=theme)
    async with fresh.run_test(size=(100, 30)) as pilot:
        await press(pilot, "2")
        wanted = styles_of(fresh)
    app = open_app(b.training_log(), theme=THEMES[0])
    async with app.run_test(size=(100, 30)) as pilot:
        await press(pilot, "2", "1", *["T"] * THEMES.index(theme), "2")
        assert app.theme == theme
        assert styles_of(app) == wanted
        await press(pilot, "1", "2")
        assert styles_of(app) == wanted


@pytest.fixture
def idle(tmp_path: Path) -> Iterator[Seen]:
    """A study that waits, on a terminal: nothing is sent but for keys."""
    with shown("idle", tmp_path) as seen:
        seen.quiet(0.5)
        yield seen


def sent_for(seen: Seen, key: str, *words: str, without: str = "\n\n") -> int:
    """Bytes that come for a key, until the screen has these words, and others no more, and all of it has come."""
    before = len(seen.terminal.sent)
    seen.type(key)
    seen.until(lambda text: all(word in text for word in words) and without not in text)
    seen.quiet(0.5)
    return len(seen.terminal.sent) - before


def test_what_lies_below_a_dialog_is_sent_once_when_it_is_closed(idle: Seen) -> None:
    sent_for(idle, "2", "peak")
    a_screen = sent_for(idle, "1", "Results", "Events")
    sent_for(idle, "?", "Help: Monitor")
    assert sent_for(idle, "?", "Results", "Events", without="Help: Monitor") < 1.5 * a_screen


class Sheet(Lines):
    """Rows as a test gives them."""


@pytest.mark.asyncio
async def test_rows_that_are_given_again_are_cut_and_filled_for_the_size_of_now(open_app: OpenApp) -> None:
    app = open_app(b.training_log())
    async with app.run_test(size=(60, 20)) as pilot:
        sheet = Sheet()
        await app.screen.mount(sheet)
        given = [row(Span("数据 a long text", "good"), " and more of it"), row("short"), row("gone")]
        for size in ((12, 3), (30, 3), (30, 5), (7, 1), (30, 3)):
            sheet.styles.width, sheet.styles.height = size
            await settled(pilot)
            for rows in (given, given, [given[1], *given[1:]], given):
                sheet.set_rows(rows)
                wanted = [fit(line, size[0]) for line in [*rows, (), ()][: size[1]]]
                assert sheet.rows == wanted


@pytest.mark.parametrize("text", ["plain", "", "数据 列", "a\tb", "│ ─ ╮", "⣿⡇", "é", "a\x1b[1m"])
def test_the_cells_of_a_row_are_those_that_a_terminal_takes(text: str) -> None:
    assert width_of((Span(text), Span("ab"))) == cell_len(text) + 2
    assert width_of(fit((Span(text), Span("ab")), 9)) == 9
