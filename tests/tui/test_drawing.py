"""Rows, bars, frames and charts as plain values."""

from __future__ import annotations

import pytest
from builders import STARTED_AT
from rich.cells import cell_len

from speedtui.tui.drawing.axes import Axis, nice_step, value_axis
from speedtui.tui.drawing.bars import EMPTY, FULL, bar, phase_bar, sparkline
from speedtui.tui.drawing.border import bordered
from speedtui.tui.drawing.lines import MERGE_CELLS, changed_spans
from speedtui.tui.drawing.plot import Series, draw_plot
from speedtui.tui.drawing.text import Span, clean, clock, crop, fit, pack, plain, row, spread, wrap


def test_a_row_that_is_too_long_ends_in_an_ellipsis() -> None:
    assert plain(crop(row("one ", Span("two", "good")), 6)) == "one t…"


@pytest.mark.parametrize("text", ["plain", "数据 列", "", "a much longer text than there is room for"])
@pytest.mark.parametrize("width", [1, 5, 12])
def test_a_fitted_row_has_exactly_its_width_whatever_it_says(text: str, width: int) -> None:
    assert cell_len(plain(fit(row(text), width))) == width


def test_control_characters_never_reach_the_terminal() -> None:
    assert clean("a\x1b[31mb\r\nc\x07") == "a\\x1b[31mb\\r\\nc\\x07"


def test_the_right_text_gives_way_to_the_left_one() -> None:
    assert plain(spread(row("left"), row("right"), 12)) == "left   right"
    assert plain(spread(row("left"), row("right"), 8)) == "left    "


def test_pieces_that_do_not_fit_are_left_out_and_later_ones_still_tried() -> None:
    assert plain(pack([row("first"), row("far too long for this"), row("last")], 14)) == "first   last"


def test_a_word_longer_than_the_line_is_broken() -> None:
    assert wrap("see /a/very/long/path here", 10) == ["see", "/a/very/lo", "ng/path", "here"]


@pytest.mark.parametrize("width", range(9, 50))
def test_a_number_and_its_unit_stand_in_one_line(width: int) -> None:
    lines = wrap("eval 128: loss 0.1667, 6.2 s, 41 % of it waiting (peak 50.8 MiB) in 3 steps at 12 MiB/s.", width)
    assert not any(line.split(" ")[0].rstrip(".,)") in ("s", "%", "MiB", "MiB/s") for line in lines), lines
    assert " ".join(lines).count("6.2 s,") == 1 and max(map(cell_len, lines)) <= width


def test_a_time_on_another_day_says_which() -> None:
    assert clock(STARTED_AT + 3600, STARTED_AT) == "01:00"
    assert clock(STARTED_AT + 90_000, STARTED_AT) == "Fri 01:00"
    assert clock(STARTED_AT + 10 * 86_400, STARTED_AT) == "11 Jan 00:00"


def test_a_share_that_is_not_known_fills_nothing_and_a_small_one_fills_a_cell() -> None:
    assert plain(bar(None, 4)) == EMPTY * 4
    assert plain(bar(0.001, 4)) == FULL + EMPTY * 3
    assert plain(bar(7.0, 4)) == FULL * 4


def test_the_phases_of_a_step_add_up_to_the_width_of_the_bar() -> None:
    phases = {"forward": 0.138, "backward": 0.221, "optimizer": 0.031, "data": 0.009, "other": 0.013}
    for width in range(1, 80):
        assert len(plain(phase_bar(phases, width))) == width


def test_a_phase_that_this_version_does_not_know_is_still_drawn() -> None:
    assert "?" in plain(phase_bar({"forward": 0.1, "teleport": 0.1}, 10))


def test_a_sparkline_leaves_a_gap_where_nothing_was_measured() -> None:
    assert sparkline([0.0, None, 1.0], 3, top=1.0) == "▁ █"
    assert sparkline([], 3) == ""


@pytest.mark.parametrize(("width", "height"), [(0, 0), (1, 1), (3, 1), (4, 2), (20, 5), (80, 3)])
def test_a_frame_has_exactly_its_size(width: int, height: int) -> None:
    rows = bordered(row("Title that is long"), row("right"), [row("body " * 30)] * 10, width, height)
    assert len(rows) <= height
    assert all(cell_len(plain(line)) == width for line in rows)


def test_only_the_cells_that_differ_are_sent() -> None:
    assert changed_spans(row("step 1 of 9"), row("step 2 of 9")) == [(5, 6)]
    assert changed_spans(row("same"), row("same")) == []


def test_changes_near_each_other_go_out_as_one() -> None:
    before, after = "a" + "." * (MERGE_CELLS - 2) + "b", "x" + "." * (MERGE_CELLS - 2) + "y"
    assert changed_spans(row(before), row(after)) == [(0, MERGE_CELLS)]
    far = "." * (MERGE_CELLS * 2)
    assert len(changed_spans(row("a" + far + "b"), row("x" + far + "y"))) == 2


def test_a_change_of_style_alone_is_a_change() -> None:
    assert changed_spans(row(Span("ok", "good")), row(Span("ok", "bad"))) == [(0, 2)]


def test_a_row_with_wide_characters_is_sent_whole() -> None:
    assert changed_spans(row("数据1"), row("数据2")) == [(0, 5)]


def test_ticks_are_round_numbers() -> None:
    assert nice_step(18_000, 4) == 5_000
    assert nice_step(1.6, 4) == 0.5
    assert [label for _, label in value_axis([1.21, 2.79], 8, parts=4).ticks] == ["1.0", "1.5", "2.0", "2.5", "3.0"]


def test_an_axis_stays_as_it_is_while_values_stay_within_it() -> None:
    assert value_axis([1.21, 2.79], 8, parts=4) == value_axis([1.08, 2.62], 8, parts=4)


@pytest.mark.parametrize("values", [[0.0], [3.0, 3.0], [], [1e-9, 2e-9], [1e9, 3e9], [-2.0, 5.0]])
def test_every_range_of_values_has_an_axis(values: list[float]) -> None:
    axis = value_axis(values, 8, parts=4)
    assert axis.low < axis.high
    assert all(axis.low <= value <= axis.high for value in values)


def test_a_chart_has_its_size_and_its_marks() -> None:
    x, y = Axis(0, 100, ((0, "0"), (100, "100"))), value_axis([1.0, 3.0], 8, parts=3)
    series = [Series([(float(i), 3 - i / 50) for i in range(100)]), Series([(50.0, 2.0)], "○")]
    rows = draw_plot(series, x, y, 40, 10, styles={"○": "mark"})
    assert len(rows) == 10
    assert all(len(plain(line)) <= 40 for line in rows)
    assert any(
        span == Span("○", "mark") or ("○" in span.text and span.style == "mark") for line in rows for span in line
    )


def test_one_more_point_changes_few_cells_of_a_chart() -> None:
    x, y = Axis(0, 1000, ((0, "0"), (1000, "1000"))), value_axis([1.0, 3.0], 8, parts=3)
    points = [(float(i), 3 - i / 500) for i in range(501)]
    before = draw_plot([Series(points[:-10])], x, y, 60, 12, styles={})
    after = draw_plot([Series(points)], x, y, 60, 12, styles={})
    changed = sum(end - start for a, b in zip(before, after, strict=True) for start, end in changed_spans(a, b))
    assert changed <= 3
