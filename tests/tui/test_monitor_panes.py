"""The Monitor's panes as text: the window as a line, what is needed, many devices, charts over the last minutes."""

from __future__ import annotations

from collections.abc import Iterable

import builders as b
import msgspec
import pytest
from rich.cells import cell_len

from speedtui.engine import events as e
from speedtui.engine.state import RunState, fold
from speedtui.tui.drawing.axes import Axis
from speedtui.tui.drawing.plot import Series, draw_plot
from speedtui.tui.drawing.text import Row, plain
from speedtui.tui.frame import Frame, ReplayPosition
from speedtui.tui.panes.deadline import deadline_rows, draw_deadline
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.events import draw_events
from speedtui.tui.panes.loss import draw_loss
from speedtui.tui.panes.step import draw_step
from speedtui.tui.panes.time_axis import draw_axis


def text(rows: Iterable[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


def frame_of(run: RunState, **more: object) -> Frame:
    return msgspec.structs.replace(Frame(run=run, study=run, clock=run.now), **more)


def deadline(log: list[e.AnyEvent], width: int, height: int, **more: object) -> str:
    return text(draw_deadline(frame_of(fold(log), **more), width, height))


def with_devices(count: int) -> list[e.AnyEvent]:
    """The second one is throttled; each is used ten points less than the one before."""

    def more(event: e.AnyEvent) -> e.AnyEvent:
        if not isinstance(event, e.HardwareSampled):
            return event
        devices = [
            msgspec.structs.replace(event.devices[0], index=i, utilization=0.95 - 0.1 * i, throttled=i == 1)
            for i in range(count)
        ]
        return msgspec.structs.replace(event, devices=devices)

    return [more(event) for event in b.training_log()]


# --- deadline ---


def test_a_large_screen_has_everything_of_the_live_line_and_the_needed_rate() -> None:
    title, _, _, _, words, _ = deadline(b.training_log(), 140, 6).splitlines()
    assert "Deadline 03:20  window 3h 20m" in title and "52m gone   8.7k steps/h   now 00:52" in title
    assert "ON TRACK   finish 02:04 (in 1h 11m)   p90 02:12   spare 55m   safe until 03:00" in words
    assert "needs ≥ 22.9k tok/s, has 39.8k" in words


def test_the_needed_rate_is_what_the_remaining_tokens_come_to_before_the_safe_limit() -> None:
    """10422 steps of 16400 tokens in the 7636.9 s to 03:00, of which evaluations, checkpoints and the end take
    163.2 s."""
    tokens, room = (18_000 - 7578) * 16_400, 10_800 - (41 + 7578 * 0.412) - (128.0 + 15.2 + 20.0)
    assert f"needs ≥ {tokens / room / 1000:.1f}k tok/s" in deadline(b.training_log(), 140, 6)


def test_steps_that_do_not_count_their_tokens_need_no_rate() -> None:
    log = [msgspec.structs.replace(x, tokens=None) if isinstance(x, e.StepCompleted) else x for x in b.training_log()]
    assert "needs" not in deadline(log, 140, 6)


def test_a_small_screen_keeps_verdict_finish_spare_and_how_long_it_has_gone_on() -> None:
    shown = deadline(b.training_log(), 80, 4)
    assert "ON TRACK  finish 02:04 (in 1h 11m)  p90 02:12  spare 55m  safe until 03:00" in shown
    assert "52m gone   8.7k steps/h   now 00:52" in shown


def test_measuring_counts_the_steps_that_the_verdict_waits_for() -> None:
    assert "… MEASURING 12/20" in deadline(b.training_log(12, verdict="measuring", every=1), 80, 4)
    assert "MEASURING 12" not in deadline(b.training_log(200, verdict="measuring"), 80, 4)


def test_the_marks_of_the_window_have_their_clock_times_in_order_and_under_themselves() -> None:
    run = fold(b.training_log())
    line, labels = (plain(row) for row in draw_axis(run, 136, run.now))
    order = ["● now 00:52", "◆ p50 02:04", "◇ p90 02:12", "┊ safe 03:00"]
    assert [labels.index(text) for text in order] == sorted(labels.index(text) for text in order)
    for mark in order:
        at, start = line.index(mark[0]), labels.index(mark)
        assert start - 8 <= at <= start + len(mark) + 8


def test_labels_that_find_no_room_are_left_out_and_none_is_cut() -> None:
    run = fold(b.training_log())
    for width in range(60, 140):
        line, labels = (plain(row) for row in draw_axis(run, width, run.now))
        assert len(line) == width and cell_len(labels) <= width
        assert "● now 00:52" in labels and "◆ p50 02:04" in labels
        assert labels.count(":") == sum(labels.count(sign) for sign in "●◆◇┊")


def test_without_a_window_there_is_no_line() -> None:
    assert draw_axis(msgspec.structs.replace(fold(b.training_log()), window=None), 136, b.STARTED_AT) == []


@pytest.mark.parametrize(("width", "rows"), [(140, 6), (80, 7), (40, 5)])
def test_the_deadline_asks_for_the_rows_that_it_fills(width: int, rows: int) -> None:
    frame = frame_of(fold(b.training_log()))
    assert deadline_rows(frame, width) == rows
    assert len(draw_deadline(frame, width, rows)) == rows


def test_a_recording_has_its_position_where_now_would_be() -> None:
    position = ReplayPosition(t=3720.0, end=7680.0, speed=10.0, paused=False)
    title = deadline(b.training_log(), 100, 4, replay=position).splitlines()[0]
    assert "▶ 10x  1h 02m / 2h 08m" in title and "now" not in title
    held = msgspec.structs.replace(position, paused=True)
    assert "‖ paused  1h 02m / 2h 08m" in deadline(b.training_log(), 100, 4, replay=held)


# --- devices ---


def test_two_devices_stand_in_full_side_by_side_with_their_histories() -> None:
    rows = text(draw_devices(fold(with_devices(2)), 70, 13)).splitlines()
    assert "GPU 0" in rows[1] and "GPU 1" in rows[1]
    assert rows[2].count("kernel") == 2 and "95 %" in rows[2] and "85 %" in rows[2]
    assert "! throttled" in text(draw_devices(fold(with_devices(2)), 70, 13))
    assert sum("10 min" in row for row in rows) == 2


@pytest.mark.parametrize("size", [(70, 13), (40, 8)])
def test_eight_devices_are_all_shown_with_use_memory_heat_and_throttling(size: tuple[int, int]) -> None:
    shown = text(draw_devices(fold(with_devices(8)), *size))
    for share in range(95, 15, -10):
        assert f"{share}" in shown
    assert shown.count("61") == 8 and shown.count("!") == 1 and "host" in shown
    assert "not shown" not in shown


def test_devices_that_find_no_room_are_counted() -> None:
    assert "+8 not shown" in text(draw_devices(fold(with_devices(16)), 40, 8))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 8, 16])
def test_no_row_of_devices_is_wider_than_the_pane(count: int) -> None:
    run = fold(with_devices(count))
    for width in range(30, 120, 7):
        for height in range(3, 24, 3):
            rows = draw_devices(run, width, height)
            assert len(rows) == height and {cell_len(plain(line)) for line in rows} == {width}


def test_where_rows_are_scarce_throttling_still_has_its_place() -> None:
    log = b.training_log()
    last = next(event for event in reversed(log) if isinstance(event, e.HardwareSampled))
    hot = msgspec.structs.replace(last, devices=[msgspec.structs.replace(last.devices[0], throttled=True)])
    assert "61 °C ! throttled" in text(draw_devices(fold([*log, hot]), 40, 8))
    assert "61 °C 1980 MHz" in text(draw_devices(fold(log), 40, 8))


# --- step ---


def test_each_phase_has_its_last_ten_minutes_on_one_scale() -> None:
    rows = text(draw_step(fold(b.training_log()), 70, 13)).splitlines()
    assert "last 10 min" in rows[3]
    assert "█" in rows[5] and "▁" in rows[9], "backward is the largest and h2d next to nothing"


def test_a_stall_stands_out_in_its_phase() -> None:
    log = b.training_log()
    stalled = b.step(log[-1].t + 16, 7579, seconds=0.412)
    slow = msgspec.structs.replace(stalled, phases={**stalled.phases, "data": 1.5}, seconds=1.9)
    row = text(draw_step(fold([*log, slow]), 70, 13, "10m")).splitlines()[7]
    assert "D data" in row and row.rstrip(" │")[-1] > "▁" and row.rstrip(" │")[-2] == "▁"


def test_without_room_for_a_chart_the_table_keeps_its_figures() -> None:
    shown = text(draw_step(fold(b.training_log()), 60, 13))
    assert "backward" in shown and "share" in shown and "last 10 min" not in shown


# --- loss ---


def test_the_last_ten_minutes_of_the_loss_have_a_time_axis_and_only_their_evaluations() -> None:
    whole, recent = (text(draw_loss(fold(b.training_log()), 100, 16, axis)) for axis in ("run", "10m"))
    assert "Loss last 10 min" in recent and "-10m" in recent and "-2m" in recent and "now" in recent
    assert "x whole run" in whole and "15k" in whole
    assert whole.count("○") == 6 + 1 and recent.count("○") == 1 + 1, "one of each count is the legend's"


def test_the_last_minute_without_a_step_says_so() -> None:
    log = b.training_log()
    later = b.hardware(log[-1].t + 300)
    steps = [event for event in log if not isinstance(event, e.EvaluationCompleted)]
    shown = text(draw_loss(fold([*steps, later]), 80, 14, "1m"))
    assert "Loss last 1 min" in shown and "No step in this stretch of time." in shown


def test_the_chart_stays_as_it_is_between_two_stretches_of_time() -> None:
    run = fold(b.training_log())
    later = msgspec.structs.replace(run, t=run.t + 0.1)
    assert draw_loss(run, 80, 16, "10m") == draw_loss(later, 80, 16, "10m")


@pytest.mark.parametrize("height", range(6, 24))
def test_a_mark_on_a_curve_is_drawn_in_the_cell_of_the_curve(height: int) -> None:
    """A braille cell is four dots high: a mark rounded by itself may lie a row apart."""
    points = [(float(x), (x / 10) ** 2) for x in range(11)]
    axis = Axis(0.0, 10.0, ((0.0, "0"), (10.0, "10"))), Axis(0.0, 1.0, ((0.0, "0"), (1.0, "1")))
    curve = [plain(row) for row in draw_plot([Series(points)], *axis, 60, height, styles={})]
    for point in points:
        marked = [plain(row) for row in draw_plot([Series(points), Series([point], "○")], *axis, 60, height, styles={})]
        changed = [
            (was, now)
            for one, other in zip(curve, marked, strict=True)
            for was, now in zip(one, other, strict=True)
            if was != now
        ]
        assert len(changed) == 1 and changed[0][1] == "○" and 0x2801 <= ord(changed[0][0]) < 0x2900


# --- events ---


def test_all_words_of_a_filter_must_occur_whatever_their_case() -> None:
    run = fold(b.training_log())
    assert "1 of 12" in text(draw_events(run, 0, 80, 12, "CHECKPOINT 7200"))
    assert "0 of 12" in text(draw_events(run, 0, 80, 12, "checkpoint eval"))


def test_a_marked_moment_is_of_a_kind_of_its_own() -> None:
    run = fold([*b.training_log(), e.Notice(t=4000.0, level="info", text="marked: before the change")])
    assert run.log[-1].kind == "mark"
    assert "1 of 13" in text(draw_events(run, 0, 80, 12, "mark before"))


def test_the_time_without_a_worker_and_without_work_stands_apart_from_the_time_that_has_gone() -> None:
    run = fold(b.training_log())
    books = e.Books(wall=run.t, phases={"forward": run.t - 1800, "away": 1800.0}, unaccounted=0.0)
    moves = [e.ClockMoved(t=run.t, seconds=7200.0, cause="slept"), e.ClockMoved(t=run.t, seconds=600.0, cause="set")]
    run = fold([*b.training_log(), e.BooksUpdated(t=run.t, books=books), *moves])
    top = plain(draw_deadline(frame_of(run), 140, 8)[0])
    assert "22m gone   + 30m without a worker   + 2h 00m asleep" in top
    assert run.now == b.STARTED_AT + run.t + 7800
