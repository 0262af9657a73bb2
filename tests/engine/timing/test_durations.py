"""What the next evaluation or checkpoint is expected to take."""

from __future__ import annotations

import pytest

from speedtui.engine.timing.durations import RECENT, Durations


def after(*measured: float, guess: float | None = None, stays: int = 0) -> Durations:
    made = Durations()
    if guess is not None:
        made.guess(guess, stays=stays)
    for seconds in measured:
        made.add(seconds)
    return made


def test_nothing_is_expected_where_nothing_is_known() -> None:
    assert (after().expected, after().upper) == (None, None)


def test_a_guess_holds_until_one_was_measured() -> None:
    assert after(guess=8.0).expected == 8.0
    assert after(2.0, guess=8.0).expected == 2.0


@pytest.mark.parametrize("stays", [RECENT, 2 * RECENT])
@pytest.mark.parametrize("count", range(1, 2 * RECENT + 3))
def test_a_guess_that_stays_counts_for_the_ones_that_are_missing(count: int, stays: int) -> None:
    found = after(*[2.0] * count, guess=8.0, stays=stays)
    recent, missing = min(count, RECENT), max(stays - count, 0)
    assert found.expected == pytest.approx((2.0 * recent + 8.0 * missing) / (recent + missing))
    assert (found.deviation > 0) == bool(missing)


def test_a_guess_that_stays_is_as_uncertain_as_it_is_far_from_what_was_measured() -> None:
    near, far = after(2.0, guess=2.1, stays=RECENT), after(2.0, guess=8.0, stays=RECENT)
    assert 0 < near.deviation < far.deviation
    assert near.upper is not None and far.upper is not None and near.upper < far.upper


def test_the_next_one_hardly_takes_longer_than_the_longest_so_far() -> None:
    assert after(1.0, 1.0, 9.0, *[1.0] * RECENT).upper == 9.0
