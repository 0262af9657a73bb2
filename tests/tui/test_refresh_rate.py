"""How often the screen draws: as a person chooses, and less where the terminal or the budget of bytes asks for it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from speedtui.tui.terminal.refresh_rate import (
    BACKLOG,
    BUDGET_BYTES_PER_SECOND,
    CLEAN_TICKS,
    MEASURED_TICKS,
    WINDOW_SECONDS,
    RefreshRate,
    Traffic,
)


def test_the_rate_moves_in_steps_and_stops_at_the_ends() -> None:
    pace = RefreshRate(2.0)
    rates = []
    for steps in (1, 1, 1, 1, -1, -1, -1, -1, -1):
        pace.change(steps)
        rates.append(pace.rate_hz)
    assert rates == [1.0, 0.5, 0.2, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0]


def test_a_terminal_that_is_behind_gets_no_frame_and_a_lower_rate_each_time() -> None:
    pace = RefreshRate(2.0)
    rates = []
    for _ in range(4):
        assert not pace.tick(BACKLOG + 1)
        rates.append(pace.rate_hz)
    assert rates == [1.0, 0.5, 0.2, 0.2]
    assert pace.slow_link and pace.held_back_by == "slow link"


def test_the_rate_comes_back_step_by_step_when_the_terminal_keeps_up() -> None:
    pace = RefreshRate(2.0)
    pace.tick(BACKLOG + 1)
    pace.tick(BACKLOG + 1)
    rates = []
    for _ in range(2):
        for _ in range(CLEAN_TICKS):
            assert pace.tick(0)
        rates.append(pace.rate_hz)
    assert rates == [1.0, 2.0]
    assert not pace.slow_link and pace.held_back_by == ""


def test_too_many_bytes_lower_the_rate_but_draw_the_frame() -> None:
    pace = RefreshRate(2.0)
    assert pace.tick(0, BUDGET_BYTES_PER_SECOND + 1)
    assert pace.rate_hz == 1.0 and pace.held_back_by == "traffic limit"


def test_the_rate_stays_low_where_the_higher_one_would_be_too_much_again() -> None:
    pace = RefreshRate(2.0)
    pace.tick(0, BUDGET_BYTES_PER_SECOND * 1.5)
    for _ in range(3 * CLEAN_TICKS):
        pace.tick(0, BUDGET_BYTES_PER_SECOND * 0.75)  # half of the rate, half of the bytes
    assert pace.rate_hz == 1.0
    for _ in range(CLEAN_TICKS):
        pace.tick(0, BUDGET_BYTES_PER_SECOND * 0.4)
    assert pace.rate_hz == 2.0


def test_after_a_flood_the_rate_comes_back_within_seconds_and_as_far_as_the_budget_allows() -> None:
    pace = RefreshRate(2.0)
    for _ in range(3):
        pace.tick(0, BUDGET_BYTES_PER_SECOND * 3)
    assert pace.rate_hz == 0.2
    for _ in range(MEASURED_TICKS):
        pace.tick(0, BUDGET_BYTES_PER_SECOND * 0.15)  # at 2 Hz ten times as much: too much; at 1 Hz it fits
    assert pace.rate_hz == 1.0 and pace.held_back_by == "traffic limit"
    for _ in range(MEASURED_TICKS):
        pace.tick(0, BUDGET_BYTES_PER_SECOND * 0.4)
    assert pace.rate_hz == 2.0 and pace.held_back_by == ""


def test_until_the_bytes_are_counted_the_rate_does_not_come_back() -> None:
    pace = RefreshRate(2.0)
    pace.tick(0, BUDGET_BYTES_PER_SECOND * 2)
    for _ in range(3 * CLEAN_TICKS):
        pace.tick(0, None)
    assert pace.rate_hz == 1.0


def test_who_asks_for_more_redraws_gets_more_bytes_for_them() -> None:
    pace = RefreshRate(5.0)
    assert pace.budget_bytes_per_second == BUDGET_BYTES_PER_SECOND * 2.5
    assert RefreshRate(0.5).budget_bytes_per_second == BUDGET_BYTES_PER_SECOND
    assert RefreshRate(0.5, slow=True).budget_bytes_per_second == BUDGET_BYTES_PER_SECOND / 4


def test_a_choice_of_a_person_ends_the_holding_back() -> None:
    pace = RefreshRate(2.0)
    pace.tick(BACKLOG + 1)
    pace.change(-1)
    assert pace.rate_hz == 5.0 and not pace.slow_link and pace.held_back_by == ""


def test_charts_are_due_once_a_second_at_any_rate() -> None:
    for rate in (5.0, 2.0, 1.0):
        pace = RefreshRate(rate)
        due = 0
        for _ in range(int(rate * 10)):
            pace.tick(0)
            due += pace.slow_panes_due()
        assert due == 10


@pytest.mark.parametrize("rate", [5.0, 2.0, 1.0, 0.5, 0.2])
def test_on_a_slow_connection_charts_are_due_every_five_seconds_at_most(rate: float) -> None:
    pace = RefreshRate(rate, slow=True)
    due = []
    for tick in range(60):
        pace.tick(0)
        due += [tick / rate] if pace.slow_panes_due() else []
    assert len(due) > 1
    assert all(later - earlier >= 5.0 - 1e-9 for earlier, later in pairwise(due))


def test_numbers_slow_down_while_a_trial_is_measured() -> None:
    pace = RefreshRate(2.0)
    drawn = 0
    for _ in range(20):
        pace.tick(0)
        drawn += pace.numbers_due(measuring=True)
    assert drawn == 10


def test_traffic_is_known_after_some_seconds_and_follows_the_last_ones() -> None:
    traffic = Traffic()
    counted = 0
    for tick in range(40):  # half a second each: first 1000 bytes a tick, then nothing
        counted += 1000 if tick < 20 else 0
        traffic.count(tick / 2, counted)
        if tick / 2 < WINDOW_SECONDS:
            assert traffic.bytes_per_second is None
        elif tick == 19:
            assert traffic.bytes_per_second == 2000.0 and traffic.kib_per_second == 2
    assert traffic.bytes_per_second == 0.0


def test_what_was_asked_for_is_not_counted_even_where_it_is_sent_some_ticks_later() -> None:
    traffic = Traffic()
    for tick in range(20):
        traffic.count(tick / 2, 100 * tick)
    traffic.excuse(9.9)
    traffic.count(10.0, 2_000)
    traffic.count(10.5, 90_000)
    assert traffic.bytes_per_second is None
    for tick in range(2, 14):
        traffic.count(10.0 + tick / 2, 90_000)
    assert traffic.bytes_per_second == 0.0
