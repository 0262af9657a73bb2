"""How often the screen draws."""

from __future__ import annotations

from speedtui.tui.pace import BACKLOG, CLEAN_TICKS, Pace
from speedtui.tui.theme import choose_theme


def test_the_rate_moves_in_steps_and_stops_at_the_ends() -> None:
    pace = Pace(2.0)
    rates = []
    for steps in (1, 1, 1, 1, -1, -1, -1, -1, -1):
        pace.change(steps)
        rates.append(pace.rate_hz)
    assert rates == [1.0, 0.5, 0.2, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0]


def test_a_terminal_that_is_behind_gets_no_frame_and_a_lower_rate() -> None:
    pace = Pace(2.0)
    assert not pace.tick(BACKLOG + 1)
    assert pace.rate_hz == 1.0 and pace.slow_link


def test_the_rate_comes_back_when_the_terminal_keeps_up() -> None:
    pace = Pace(2.0)
    pace.tick(BACKLOG + 1)
    for _ in range(CLEAN_TICKS):
        assert pace.tick(0)
    assert pace.rate_hz == 2.0 and not pace.slow_link


def test_charts_are_due_once_a_second_at_any_rate() -> None:
    for rate in (5.0, 2.0, 1.0):
        pace = Pace(rate)
        due = 0
        for _ in range(int(rate * 10)):
            pace.tick(0)
            due += pace.slow_panes_due()
        assert due == 10


def test_numbers_slow_down_while_a_trial_is_measured() -> None:
    pace = Pace(2.0)
    drawn = 0
    for _ in range(20):
        pace.tick(0)
        drawn += pace.numbers_due(measuring=True)
    assert drawn == 10


def test_a_terminal_with_few_colours_gets_its_own_ones() -> None:
    assert choose_theme({"TERM": "xterm-256color"}) == "textual-dark"
    assert choose_theme({"TERM": "xterm"}) == "ansi-dark"
    assert choose_theme({"TERM": "xterm", "COLORTERM": "truecolor"}) == "textual-dark"
    assert choose_theme({"TERM": "xterm-256color", "NO_COLOR": "1"}) == "ansi-dark"
    assert choose_theme({"TERM": "xterm", "TEXTUAL_THEME": "nord"}) == "nord"
