"""The Trials' panes as text: a study in, rows out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import builders as b
import builders_trials as bt
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.state import RunState, TrialRow, fold
from speedtui.tui.candidates.figures import fits, free_cell, free_words, full_run_seconds, ratio
from speedtui.tui.candidates.listing import PLAIN, SORTS, Listing, listed
from speedtui.tui.drawing.text import Row, plain, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.curve import draw_curve, warm_up_steps
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.scatter import draw_scatter
from speedtui.tui.panes.summary import draw_summary
from speedtui.tui.panes.trial_columns import chosen_columns
from speedtui.tui.panes.trial_log import draw_trial_log
from speedtui.tui.panes.trials import LEAD, draw_trials
from speedtui.tui.screens.compare import draw_compare


def text(rows: Iterable[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


def trial(run: RunState, number: int) -> TrialRow:
    assert run.study is not None
    found = run.study.row(number)
    assert found is not None
    return found


def table(run: RunState, width: int = 80, listing: Listing = PLAIN) -> list[str]:
    return [plain(line) for line in draw_trials(run, 0, 0, width, 12, listing)]


RUN = fold(bt.study())
HUNDRED = fold(bt.hundred())


# --- figures ---


def test_whether_a_trial_fits_is_told_by_memory_and_window() -> None:
    words = {number: fits(RUN, trial(RUN, number)) for number in range(8)}
    assert words == {0: "✗ no", 1: "! tight", 2: "✓ yes", 3: "✓ yes", 4: "✗ no", 5: "…", 6: "?", 7: "✗ no"}


def test_without_a_window_what_fits_the_memory_fits() -> None:
    free = msgspec.structs.replace(RUN, window=None)
    assert [fits(free, trial(free, number)) for number in (0, 1, 4, 6)] == ["✓ yes", "✓ yes", "✗ no", "?"]


def test_a_median_without_a_p90_can_say_late_and_not_in_time() -> None:
    def fit_of(seconds: float) -> str:
        result = msgspec.structs.replace(b.ok_result(0.4, 30.0), full_run_seconds=seconds)
        log = [b.run_started(window=bt.WINDOW), b.study_started(), *b.trial_events(16.0, 0, result, 0.4)]
        return fits(fold(log), trial(fold(log), 0))

    assert fit_of(4 * 3600.0) == "✗ no"
    assert fit_of(600.0) == "?"


def test_the_interval_of_a_ratio_is_wider_than_that_of_either_trial() -> None:
    assert RUN.study is not None
    found = ratio(RUN.study, trial(RUN, 2), trial(RUN, 0))
    assert found is not None and found.low is not None and found.high is not None
    assert found.value == pytest.approx(0.746 / 0.412)
    assert found.high / found.value == pytest.approx((1.02 / 0.98) ** (2**0.5 / 2))
    assert str(found) == "1.81× [1.76 1.86]"


def test_a_trial_against_itself_has_no_interval_and_one_not_measured_no_ratio() -> None:
    assert RUN.study is not None
    assert str(ratio(RUN.study, trial(RUN, 0), trial(RUN, 0))) == "1.00×"
    assert ratio(RUN.study, trial(RUN, 6), trial(RUN, 0)) is None


def test_a_running_trial_gets_a_likely_whole_run_from_another_ones_parts() -> None:
    assert RUN.study is not None
    found = full_run_seconds(RUN.study, trial(RUN, 5))
    assert found is not None
    seconds, likely = found
    assert likely and seconds == pytest.approx(41 + 213 + 26.6 + bt.STEPS * 0.29)
    assert full_run_seconds(RUN.study, trial(RUN, 6)) is None


# --- the table ---


def test_at_eighty_columns_every_figure_that_decides_is_there() -> None:
    lines = table(RUN)
    for name in ("#", "configuration", "status", "smp/s", "peak", "free", "ETA", "fits"):
        assert name in lines[0]
    assert lines[2].endswith(" ! tight") and "2h 52m" in lines[2]


def test_estimates_and_predictions_have_a_tilde_and_measurements_none() -> None:
    lines = table(RUN)
    assert "~38.0 GiB" in lines[6] and "~1h 31m" in lines[6] and "run 6/10" in lines[6]
    assert "~" not in lines[3] and "~-14 %" in lines[8]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ([], "starting"),
        ([b.step(101.0, 1, trial=0, probe="memory")], "memory probe"),
        ([b.step(102.0, 1, trial=0, probe="throughput")], "warm-up 2"),
        ([b.step(102.0 + i, i + 1, trial=0, probe="throughput") for i in range(7)], "run 14"),
    ],
)
def test_a_running_row_says_how_far_it_is(log: list[e.AnyEvent], words: str) -> None:
    run = fold([b.run_started(), b.study_started(), e.TrialStarted(t=100.0, trial=0), *log])
    assert f" {words}  " in table(run)[1]


def test_what_is_above_the_limit_says_by_how_much_in_words_where_there_is_room_for_them() -> None:
    wide = [plain(line) for line in draw_trials(RUN, 0, 0, 200, 12)]
    assert "  ~over 14 % " in wide[8]
    assert (free_words(-0.17), free_words(-0.001), free_words(0.39)) == ("over by 17 %", "over by <1 %", "39 % free")
    assert [free_cell(share, words=False) for share in (-0.0001, -0.004, -0.17, 0.0)] == [
        "-0.1 %",
        "-0.4 %",
        "-17 %",
        "0 %",
    ]
    assert (free_cell(-0.001, words=True), free_cell(-2.0, words=False), free_cell(0.0, words=True)) == (
        "over <1 %", "-200 %", "0 %")  # fmt: skip


def test_two_columns_never_touch() -> None:
    for width in (80, 100, 120, 140, 160, 200):
        ends = [0]
        for column in chosen_columns(width, 20, LEAD)[0]:
            ends.append(ends[-1] + column.width)
        far_over = fold([*bt.study(), bt.predicted(999.0, 7, 230.0)])
        for line in (*draw_trials(RUN, 0, 0, width, 12)[1:], *draw_trials(far_over, 0, 0, width, 12)[1:]):
            cells = [span.text for span in line][-len(ends) + 1 :]
            for left, right in pairwise(cells):
                assert left.endswith(" ") or right.startswith(" "), (width, left, right)


def test_the_facts_of_a_trial_stand_in_one_order_and_the_way_on_is_never_cut() -> None:
    order = ["changed", "step", "lead", "phases", "speed", "loss", "memory", "parts", "total", "terms", "reason", "try",
             "or", "next"]  # fmt: skip
    for number in range(8):
        for height in range(5, 18):
            rows = [line[2:12].strip() for line in text(draw_detail(RUN, number, 100, height)).splitlines()[1:-1]]
            labels = [label for label in rows if label in order]
            assert labels == sorted(labels, key=order.index) and labels[-1] == "next"


def test_the_reason_does_not_repeat_the_status() -> None:
    wide = [plain(line) for line in draw_trials(RUN, 0, 0, 180, 12)]
    assert wide[5].count("out of memory") == 1 and "in backward of the mem" in wide[5]


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("#", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("smp/s", [3, 2, 1, 0, 4, 5, 6, 7]),
        ("peak", [0, 5, 1, 6, 2, 3, 4, 7]),
        ("ETA", [5, 3, 2, 1, 0, 4, 6, 7]),
        ("status", [5, 0, 1, 2, 3, 6, 7, 4]),
    ],
)
def test_each_sort_lists_what_it_says_and_what_is_not_measured_last(sort: str, order: list[int]) -> None:
    listing = Listing(sort=sort)  # type: ignore[arg-type]
    assert bt.numbers(table(RUN, listing=listing)) == order


def test_reversing_keeps_what_is_not_measured_last() -> None:
    lines = table(RUN, listing=Listing(sort="smp/s", reverse=True))
    assert bt.numbers(lines) == [0, 1, 2, 3, 4, 5, 6, 7]
    assert "↑smp/s" in lines[0]


def test_the_sorted_column_has_an_arrow_in_the_direction_of_its_figures() -> None:
    assert "↓smp/s" in table(RUN, listing=Listing(sort="smp/s"))[0]
    assert "↑ETA" in table(RUN, listing=Listing(sort="ETA"))[0]
    assert "↓#" in table(RUN, listing=Listing(reverse=True))[0]
    assert "↑" not in table(RUN)[0]


def test_sorting_goes_through_all_columns_and_back() -> None:
    listing = PLAIN
    seen = []
    for _ in SORTS:
        seen.append(listing.sort)
        listing = listing.next_sort()
    assert tuple(seen) == SORTS and listing == PLAIN


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("out memory", [4]), ("QUEUED", [6, 7]), ("ckpt", [5]), ("bf16 queued", [7]), ("4.3 GiB", [4]), ("nothing", [])],
)
def test_a_filter_looks_at_configuration_status_and_reason(wanted: str, found: list[int]) -> None:
    assert RUN.study is not None
    assert [row.candidate.id for row in listed(RUN.study, Listing(filter=wanted))] == found


def test_a_marked_row_has_a_sign() -> None:
    lines = table(RUN, listing=Listing(marked=frozenset({2})))
    assert lines[3].startswith(" *") and not lines[2].startswith(" *")


def test_a_long_table_says_which_of_its_rows_are_seen() -> None:
    assert "1–11 of 100" in table(HUNDRED)[0]
    assert "configuration" in table(RUN)[0]


# --- the panes beside it ---


def test_the_detail_names_what_the_memory_and_the_whole_run_consist_of() -> None:
    shown = text(draw_detail(RUN, 2, 84, 13))
    assert "1.81× [1.76 1.86] of #0" in shown
    assert "activations 33.3 GiB   weights 13.5 GiB" in shown
    assert "18000 steps 2h 03m   15 evals 3m 33s   7 saves 27s" in shown
    assert "loss      1.301, #0 1.301" in shown
    assert "p90 2h 15m   finish 02:09 if started now   fits ✓ yes" in shown


def test_a_trial_out_of_memory_names_what_would_need_less() -> None:
    shown = text(draw_detail(RUN, 4, 80, 12))
    assert "try       train.micro_batch_size = 8" in shown
    assert "or        train.gradient_checkpointing = true" in shown


def test_the_curve_tells_warm_up_from_what_was_measured() -> None:
    assert warm_up_steps(trial(RUN, 2)) == 1
    shown = text(draw_curve(RUN, 2, 60, 12))
    assert "ms a step ↑ batch →  ○ warm-up 1" in shown and shown.count("○") == 2
    assert "○ warm-up 1  steady 11" in text(draw_curve(RUN, 2, 80, 12))
    assert "3 steps" in text(draw_curve(RUN, 5, 60, 12))
    assert "Appears while its steps are timed" in text(draw_curve(RUN, 6, 60, 12))


def test_a_few_steps_are_points_at_the_batches_that_they_end_with() -> None:
    shown = text(draw_curve(RUN, 5, 60, 12)).splitlines()
    assert sum(line.count("●") for line in shown) == 3 and not any("⠉" <= c <= "⣿" for line in shown for c in line)
    assert shown[-2].strip("│ ").split() == ["2", "4", "6"]


def test_the_scatter_tells_best_beaten_and_predicted_apart_and_labels_the_limit() -> None:
    shown = text(draw_scatter(RUN, 0, 84, 16))
    for mark in ("☆3", "●2", "◆0", "○5", "○7", "│ limit 79.6 GiB"):
        assert mark in shown
    assert " limit │" in shown.splitlines()[1]
    beaten = fold([*bt.study(), *b.trial_events(200.0, 6, bt.result(0.7, 60.0), 0.7)])
    assert "•6" in text(draw_scatter(beaten, 0, 84, 16))


def test_dots_in_one_place_have_all_their_numbers_and_are_counted() -> None:
    same = fold([*bt.study(), *b.trial_events(200.0, 6, bt.result(0.412, 48.8), 0.412)])
    shown = text(draw_scatter(same, 0, 110, 16))
    assert "●2,6" in shown and "1 under others" in shown


def test_a_crowded_scatter_still_names_the_best_and_the_one_under_the_cursor() -> None:
    shown = text(draw_scatter(HUNDRED, 42, 84, 20))
    assert "☆0" in shown and "42" in shown.replace("│", "")


def test_the_log_is_that_of_the_trial_alone() -> None:
    shown = text(draw_trial_log(RUN, 4, 60, 12))
    assert "~84.0 GiB" in shown and "! out of memory" in shown
    assert "samples/s" not in shown
    assert "run 6/10, ~290 ms a step" in text(draw_trial_log(RUN, 5, 60, 12))
    assert "steady after 2 batches of warm-up" in text(draw_trial_log(RUN, 2, 60, 12))


def test_a_trial_to_which_nothing_happened_names_the_key_that_runs_it() -> None:
    assert "r runs it" in text(draw_trial_log(fold(b.idle_study_log()), 2, 60, 12))


def test_the_summary_says_how_the_table_is_shown() -> None:
    frame = Frame(run=RUN, study=RUN, clock=RUN.now)
    shown = plain(draw_summary(frame, 140, Listing(sort="ETA", filter="ok", marked=frozenset({2, 3}))))
    assert shown.startswith(" / ok  4 of 8  │  * 2 marked  │  sort ETA ↑  │  4 ok")
    assert "window 3h 18m to 03:20" in plain(draw_summary(frame, 140)) and "base #0" in plain(draw_summary(frame, 140))


def test_a_comparison_names_what_differs_and_every_ratio() -> None:
    shown = text(draw_compare(RUN, [trial(RUN, number) for number in (0, 2, 4)], 120))
    lines = {line[:18].strip(): line[18:].split() for line in shown.splitlines()}
    assert lines["micro_batch_size"] == ["1", "4", "16"]
    assert lines["against first"] == ["1.00×", "1.81×", "[1.76", "1.86]", "–"]
    assert lines["fits"] == ["✗", "no", "✓", "yes", "✗", "no"]
    assert lines["backward"] == ["400", "ms", "221", "ms", "–"]


@pytest.mark.parametrize("run", [RUN, HUNDRED], ids=["eight", "hundred"])
def test_no_row_is_wider_than_its_pane(run: RunState) -> None:
    rows = [trial(run, number) for number in range(4)]
    for width in (12, 20, 38, 40, 41, 55, 60, 72, 79, 80, 100, 119, 140, 200):
        for height in (1, 2, 5, 9, 16):
            for listing in (PLAIN, Listing(sort="status", filter="mb", marked=frozenset({1}))):
                drawn = draw_trials(run, 1, 0, width, height, listing)
                assert max(map(width_of, drawn)) <= width and len(drawn) <= height
            for number in range(8):
                for draw in (draw_detail, draw_curve, draw_trial_log):
                    assert max(map(width_of, draw(run, number, width, height)), default=0) <= width
            assert max(map(width_of, draw_scatter(run, 1, width, height)), default=0) <= width
        if width >= 38:
            assert max(map(width_of, draw_compare(run, rows, width))) <= width
