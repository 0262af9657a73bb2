from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import Settings
from speedtui.engine.plan.schedules import schedules
from speedtui.engine.plan.tables import checkpoint_frequencies, eval_frequencies, recommended_checkpoint
from speedtui.engine.units import duration_text, parse_duration
from tests.engine.plan.estimators import EVAL_ROWS, NOW, STEPS_PER_EPOCH, estimator, settings, window

WINDOW = window(700.0, margin=100.0)  # safe for 600 s


def test_evaluations_around_the_present_spacing_at_the_end_and_never() -> None:
    rows = eval_frequencies(settings(), estimator(), WINDOW, NOW, STEPS_PER_EPOCH)
    assert [(row.every, row.every_steps, row.count, row.cost_seconds, row.total_seconds) for row in rows] == [
        ("0.25 epochs", 25, 16, 480.0, 920.0),
        ("0.5 epochs", 50, 8, 240.0, 680.0),
        ("1 epoch", 100, 4, 120.0, 560.0),
        ("2 epochs", 200, 2, 60.0, 500.0),
        ("4 epochs", 400, 1, 30.0, 470.0),
        ("never", None, 0, 0.0, 440.0),
    ]
    assert [row.every for row in rows if row.current] == ["1 epoch"]
    assert [row.fit for row in rows] == ["late", "tight", "fits", "fits", "fits", "fits"]
    assert rows[2].share == pytest.approx(120 / 560)
    assert rows[2].finish == NOW + 560.0
    assert all(parse_frequency(row.every) is not None for row in rows)


def test_a_spacing_in_steps_is_varied_in_steps_and_none_is_there_twice() -> None:
    rows = eval_frequencies(settings(eval_every="50 steps"), estimator(), None, NOW, STEPS_PER_EPOCH)
    assert [(row.every, row.count) for row in rows] == [
        ("12 steps", 34),
        ("25 steps", 16),
        ("50 steps", 8),
        ("1 epoch", 4),
        ("2 epochs", 2),
        ("4 epochs", 1),
        ("never", 0),
    ]
    assert {row.fit for row in rows} == {"unknown"}


@pytest.mark.parametrize(("eval_every", "marked"), [("never", None), ("9 epochs", 400), ("1 epoch", 100)])
def test_the_present_spacing_is_always_in_the_table(eval_every: str, marked: int | None) -> None:
    rows = eval_frequencies(settings(eval_every=eval_every), estimator(), None, NOW, STEPS_PER_EPOCH)
    (current,) = [row for row in rows if row.current]
    assert (current.every, current.every_steps) == (eval_every, marked)
    assert len({row.every_steps for row in rows}) == len(rows)


def test_only_at_the_end_is_written_in_steps_where_the_run_ends_within_an_epoch() -> None:
    rows = eval_frequencies(settings(epochs=2.5), estimator(), None, NOW, STEPS_PER_EPOCH)
    assert [(row.every, row.count) for row in rows][-3:] == [("2 epochs", 2), ("250 steps", 1), ("never", 0)]


def test_without_rows_to_evaluate_on_there_is_no_table() -> None:
    assert eval_frequencies(settings(), estimator(evaluation=None), None, NOW, STEPS_PER_EPOCH) == []


def test_without_an_estimate_there_are_no_tables() -> None:
    assert eval_frequencies(settings(), lambda asked: None, WINDOW, NOW, STEPS_PER_EPOCH) == []
    assert checkpoint_frequencies(settings(), lambda asked: None, WINDOW, NOW, STEPS_PER_EPOCH) == []
    assert schedules(settings(), lambda asked: None, WINDOW, NOW, STEPS_PER_EPOCH, eval_rows=100) == []


def test_checkpoints_by_the_clock_cost_more_the_less_work_they_can_lose() -> None:
    # every minute: each epoch of 130 s and its saves hold two, but the last step has none; the run takes 580 s
    rows = checkpoint_frequencies(settings(checkpoint_every="1m"), estimator(), WINDOW, NOW, STEPS_PER_EPOCH)
    by = {row.every: row for row in rows}
    assert [row.every for row in rows] == ["15s", "30s", "1m", "2m", "1 epoch", "2m23s", "4m", "2 epochs", "never"]
    assert (by["1m"].count, by["1m"].cost_seconds, by["1m"].total_seconds) == (7, 35.0, 580.0)
    assert by["1m"].current
    assert [by[every].lost_seconds for every in ("15s", "1m", "4m")] == [15.0, 60.0, 240.0]
    assert by["1 epoch"].lost_seconds == pytest.approx((560 - 25) / 4)
    assert (by["never"].count, by["never"].every_steps, by["never"].lost_seconds) == (0, None, 520.0)
    counts = [row.count for row in rows]
    assert counts == sorted(counts, reverse=True)


def test_the_recommended_checkpoint_is_the_most_frequent_within_three_and_a_half_percent() -> None:
    rows = checkpoint_frequencies(settings(checkpoint_every="1m"), estimator(), WINDOW, NOW, STEPS_PER_EPOCH)
    best = recommended_checkpoint(rows)
    # 1m saves 7 times: 35 of 580 s are 6 %; 2m 3 times: 15 of 560 s are 2.7 %, and an epoch no more often
    assert best is not None and best.every == "2m"
    assert best.share == pytest.approx(15 / 560)


def test_a_spacing_that_keeps_the_bound_is_offered_where_the_present_one_breaks_it() -> None:
    # a save of 5 s may come every 5 / 0.035 = 143 s; with one every 5 steps a step takes 920 / 400 = 2.3 s
    rows = checkpoint_frequencies(settings(checkpoint_every="5 steps"), estimator(), None, NOW, STEPS_PER_EPOCH)
    offered = next(row for row in rows if row.every == "63 steps")
    assert offered.count == 6
    assert next(row for row in rows if row.current).share > 0.035


def test_a_checkpoint_that_comes_after_the_end_is_the_same_as_none() -> None:
    rows = checkpoint_frequencies(settings(checkpoint_every="30m"), estimator(), None, NOW, STEPS_PER_EPOCH)
    unsaved = [row for row in rows if not row.count]
    assert [(row.every, row.every_steps, row.current) for row in unsaved] == [("30m", None, True)]


def test_where_only_the_best_is_saved_an_interval_is_by_the_clock_or_none() -> None:
    asked = settings(eval_every="0.5 epochs", checkpoint_every="1 epoch")
    asked = msgspec.structs.replace(asked, schedule=msgspec.structs.replace(asked.schedule, save_only_best=True))
    plain = estimator()
    rows = checkpoint_frequencies(asked, plain, WINDOW, NOW, STEPS_PER_EPOCH)
    by = {row.every: row for row in rows}
    # the present interval is in epochs, which the run does not keep: only the best, and all may be lost after it
    assert [row.every for row in rows if row.current] == ["1 epoch"]
    assert by["1 epoch"].best_only and by["1 epoch"].every_steps is None
    assert by["1 epoch"].lost_seconds == plain(asked).running_seconds
    assert not any(row.every_steps for row in rows if row.best_only)
    for row in rows:
        if not row.best_only:
            every = parse_frequency(row.every).seconds
            assert every is not None and row.lost_seconds == min(every, row.lost_seconds or 0.0)
    saves = [plain(with_every(asked, row.every)).saves for row in rows]
    assert [row.count for row in rows] == saves


def with_every(asked: Settings, every: str) -> Settings:
    schedule = msgspec.structs.replace(asked.schedule, checkpoint_every=every)
    return msgspec.structs.replace(asked, schedule=schedule)


def test_an_interval_by_the_clock_bounds_what_is_lost_beside_the_best() -> None:
    asked = settings(checkpoint_every="1m")
    asked = msgspec.structs.replace(asked, schedule=msgspec.structs.replace(asked.schedule, save_only_best=True))
    rows = checkpoint_frequencies(asked, estimator(), WINDOW, NOW, STEPS_PER_EPOCH)
    assert [(row.every, row.lost_seconds) for row in rows if row.current] == [("1m", 60.0)]
    assert [row.every for row in rows] == ["15s", "30s", "1m", "2m", "4m", "never"]
    counts = [row.count for row in rows]
    assert counts == sorted(counts, reverse=True) and len(set(counts)) > 2


def test_nothing_is_recommended_where_saving_was_not_measured() -> None:
    rows = checkpoint_frequencies(settings(), estimator(save=0.0), None, NOW, STEPS_PER_EPOCH)
    assert recommended_checkpoint(rows) is None


def test_three_schedules_from_everything_seen_to_almost_nothing() -> None:
    # epochs of 10 s with gaps of 70 s, the case that the schedules are for
    run = estimator(step=0.1, evaluation=60.0, save=10.0, load=0.0, final=10.0)
    full, fast, ultra = schedules(settings(epochs=20), run, window(1000.0), NOW, STEPS_PER_EPOCH, eval_rows=EVAL_ROWS)
    assert [row.name for row in (full, fast, ultra)] == ["full", "fast", "ultra fast"]
    # 200 + 20 x 60 + 19 x 10 + 10; 200 + 10 x 15 + 10 for each of 2.8 that are the best so far + 10; 200 + 15 + 10
    best = sum(1 / n for n in range(1, 10))
    totals = [row.total_seconds for row in (full, fast, ultra)]
    assert totals == pytest.approx([1600.0, 360.0 + 10 * best, 225.0])
    assert [row.gap_seconds for row in (full, fast, ultra)] == pytest.approx([69.5, 7.5 + best / 2, 0.75])
    assert [row.epoch_seconds for row in (full, fast, ultra)] == [10.0, 10.0, 10.0]
    assert [row.fit for row in (full, fast, ultra)] == ["late", "fits", "fits"]
    assert fast.values == {
        "schedule.eval_every": "2 epochs", "schedule.checkpoint_every": "30m", "schedule.save_only_best": True,
        "data.eval_rows": 25,
    }  # fmt: skip
    assert full.monitored == "training loss, evaluation loss every epoch (20 times), a checkpoint every epoch"
    assert fast.monitored == (
        "training loss, evaluation loss every second epoch (10 times) on 25 of 100 rows, "
        "the best model kept, a checkpoint every 30m"
    )
    assert ultra.monitored == (
        "training loss, evaluation loss at the end on 25 of 100 rows, no checkpoint before the final model"
    )


def test_where_evaluations_generate_the_fast_schedules_leave_that_out_and_keep_the_rows() -> None:
    # epochs of 10 s; a full evaluation is 4 s of loss, 16 s of answers and 40 s of metric, the last saves 10 s
    run = estimator(step=0.1, evaluation=4.0, generate=16.0, metric=40.0, save=10.0, load=0.0, final=10.0)
    asked = settings(epochs=20)
    scored = msgspec.structs.replace(
        asked.schedule, generate=True, metric="metric.py:score", best_by="exact", fast_eval_every="7 steps"
    )
    asked = msgspec.structs.replace(asked, schedule=scored)
    full, fast, ultra = schedules(asked, run, None, NOW, STEPS_PER_EPOCH, eval_rows=EVAL_ROWS)
    best = sum(1 / n for n in range(1, 10))  # by the metric, which only full evaluations have
    totals = [row.total_seconds for row in (full, fast, ultra)]
    # 20 x 60 + 19 x 10; 10 x 60 + 10 x 4; a quarter of 4
    assert totals == pytest.approx([210 + 1200 + 190, 210 + 640 + 10 * best, 210 + 1])
    assert full.values == {
        "schedule.eval_every": "1 epoch", "schedule.checkpoint_every": "1 epoch", "schedule.fast_eval_every": "never",
    }  # fmt: skip
    assert fast.values == {
        "schedule.eval_every": "2 epochs", "schedule.fast_eval_every": "1 epoch",
        "schedule.checkpoint_every": "30m", "schedule.save_only_best": True,
    }  # fmt: skip
    assert ultra.values == {
        "schedule.eval_every": "20 epochs", "schedule.checkpoint_every": "never", "data.eval_rows": 25,
        "schedule.generate": False, "schedule.metric": "", "schedule.best_by": "loss",
        "schedule.fast_eval_every": "never",
    }  # fmt: skip
    assert full.monitored == (
        "training loss, evaluation loss, answers and metric every epoch (20 times), a checkpoint every epoch"
    )
    assert fast.monitored == (
        "training loss, evaluation loss every epoch (20 times), answers and metric every second epoch, "
        "the best model kept, a checkpoint every 30m"
    )
    assert ultra.monitored == (
        "training loss, evaluation loss at the end on 25 of 100 rows, no checkpoint before the final model"
    )


def test_evaluations_by_the_clock_are_varied_by_the_clock() -> None:
    asked = settings(eval_every="1m40s", checkpoint_every="never")
    rows = eval_frequencies(asked, estimator(), None, NOW, STEPS_PER_EPOCH)
    by = {row.every: row.count for row in rows}
    # one in 100 s of steps, which is an epoch; the last step has one too
    assert [(every, by[every]) for every in ("25s", "50s", "1m40s", "3m20s", "never")] == [
        ("25s", 16), ("50s", 8), ("1m40s", 4), ("3m20s", 2), ("never", 0),
    ]  # fmt: skip
    assert [row.every for row in rows if row.current] == ["1m40s"]


def test_schedules_without_evaluation_say_what_is_left_to_see() -> None:
    rows = schedules(settings(), estimator(evaluation=None), None, NOW, STEPS_PER_EPOCH, eval_rows=None)
    assert rows[0].monitored == "training loss, a checkpoint every epoch"
    assert "data.eval_rows" not in rows[1].values


@pytest.mark.parametrize("seconds", [1, 59, 60, 143, 450, 3600, 5400, 3661, 90_000])
def test_a_duration_is_written_as_a_configuration_reads_it(seconds: int) -> None:
    assert parse_duration(duration_text(seconds)) == seconds
