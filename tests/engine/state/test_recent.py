"""What charts over the last minutes are drawn from: bounded however often it is told, and still between stretches."""

from __future__ import annotations

import pytest

from speedtui.engine.state.series import BucketMeans, RecentSeries
from speedtui.engine.state.windows import BUCKETS, RecentFold


def test_values_of_a_stretch_become_their_mean() -> None:
    series = RecentSeries(10.0, 5)
    for t, value in ((0.0, 1.0), (1.9, 3.0), (2.0, 5.0)):
        series.add(t, value)
    assert series.course(2.5) == BucketMeans(end=4.0, bucket_seconds=2.0, values=(2.0, 5.0))


def test_a_stretch_in_which_nothing_came_is_none() -> None:
    series = RecentSeries(10.0, 5)
    series.add(0.5, 1.0)
    series.add(5.0, 2.0)
    assert series.course(9.0).values == (1.0, None, 2.0, None, None)
    assert series.course(9.0).points() == ((1.0, 1.0), (5.0, 2.0))


def test_what_is_older_than_the_span_is_gone() -> None:
    series = RecentSeries(10.0, 5)
    for second in range(30):
        series.add(float(second), float(second))
    course = series.course(29.0)
    assert (course.end, course.seconds, len(course.values)) == (30.0, 10.0, 5)
    assert course.values == (20.5, 22.5, 24.5, 26.5, 28.5)


def test_long_after_the_last_value_there_is_none_left() -> None:
    series = RecentSeries(10.0, 5)
    series.add(1.0, 1.0)
    assert series.course(100.0).values == (None,) * 5


def test_what_comes_late_counts_with_the_last_stretch() -> None:
    series = RecentSeries(10.0, 5)
    series.add(6.0, 2.0)
    series.add(1.0, 4.0)
    assert series.course(6.0).values[-1] == 3.0


@pytest.mark.parametrize("per_second", [1, 20])
def test_both_stretches_are_bounded_however_often_it_is_told(per_second: int) -> None:
    recent = RecentFold()
    for i in range(700 * per_second):
        recent.add(i / per_second, float(i))
    shown = recent.snapshot(700.0)
    assert (len(shown.ten_minutes.values), len(shown.minute.values)) == (BUCKETS, BUCKETS)
    assert (shown.ten_minutes.seconds, shown.minute.seconds) == (600.0, 60.0)
