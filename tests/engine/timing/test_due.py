"""What a schedule asks for, against a training whose every step is walked through."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.counts import first_save_step
from speedtui.engine.timing.due import Due, Prices, Rules, TrainingPosition, rules_of
from speedtui.engine.timing.due_sums import records
from speedtui.engine.timing.walk import count_due
from tests.engine.timing.walked_training import Run

EPOCH = 40


def spacing(chance: random.Random, *, clock: bool) -> str:
    kinds = ["never", f"{chance.randint(1, 60)} steps", f"{chance.choice([0.25, 0.5, 1, 2])} epochs"]
    return chance.choice([*kinds, f"{chance.randint(2, 40)}s"] if clock else kinds)


def walked(schedule: ScheduleSettings, total: int, prices: Prices, first_save: int | None) -> Due:
    run = Run(
        total_steps=total, epoch_steps=EPOCH, schedule=schedule, step_seconds=lambda i: prices.step,
        full_seconds=prices.full, loss_seconds=prices.loss, save_seconds=prices.save, first_save=first_save, start=0.0,
    )  # fmt: skip
    run.walk()
    return Due(full=run.made["full"], loss=run.made["loss"], saves=run.made["save"])


@pytest.mark.parametrize("seed", range(120))
def test_the_counts_are_those_of_a_training_that_is_walked_through(seed: int) -> None:
    chance = random.Random(seed)
    schedule = ScheduleSettings(
        eval_every=spacing(chance, clock=seed % 3 == 0), fast_eval_every=spacing(chance, clock=seed % 3 == 1),
        checkpoint_every=spacing(chance, clock=seed % 2 == 0),
        eval_share=chance.choice([None, None, 0.05, 0.2, 0.5]),
    )  # fmt: skip
    total = chance.randint(1, 400)
    # in powers of two, so that sums of seconds have no last bit to differ by
    prices = Prices(step=chance.choice([0.125, 0.5, 1.0]), full=chance.choice([1.5, 6.0]), loss=0.75, save=0.25)
    rules = rules_of(schedule, total, EPOCH, evaluates=True)
    assert count_due(rules, total, prices) == walked(schedule, total, prices, rules.first_save)


@pytest.mark.parametrize("seed", range(24))
def test_where_there_is_too_much_to_follow_the_sums_are_as_good_as_exact(seed: int) -> None:
    chance = random.Random(seed)
    schedule = ScheduleSettings(
        eval_every=chance.choice(["20 steps", "15s", "7 steps"]),
        fast_eval_every=chance.choice(["never", "5 steps", "3s"]),
        checkpoint_every=chance.choice(["11 steps", "8s", "never"]),
        eval_share=chance.choice([None, 0.1, 0.3]),
    )  # fmt: skip
    total = chance.randint(10_000, 20_000)
    prices = Prices(step=0.5, full=3.0, loss=0.5, save=0.25)
    rules = rules_of(schedule, total, EPOCH, evaluates=True)
    found, true = count_due(rules, total, prices), walked(schedule, total, prices, rules.first_save)
    assert found.seconds(prices) == pytest.approx(true.seconds(prices), rel=0.03)
    for count, expected in ((found.full, true.full), (found.saves, true.saves)):
        assert count == pytest.approx(expected, rel=0.04, abs=2)


def test_what_is_left_in_the_middle_is_what_the_whole_has_besides_the_first_half() -> None:
    rules = rules_of(ScheduleSettings(eval_every="30 steps", fast_eval_every="10 steps"), 200, EPOCH, evaluates=True)
    prices = Prices(step=1.0)
    assert count_due(rules, 200, prices) == Due(full=7, loss=13, saves=1)  # the early checkpoint
    assert count_due(rules, 200, prices, TrainingPosition(step=100, passed=100.0)) == Due(full=4, loss=6, saves=0)
    assert count_due(rules, 200, prices, TrainingPosition(step=199, passed=199.0)) == Due(full=1)
    assert count_due(rules, 200, prices, TrainingPosition(step=200, passed=200.0)) == Due()


def test_without_a_last_step_nothing_is_made_because_it_is_the_last() -> None:
    rules = rules_of(ScheduleSettings(eval_every="30 steps", checkpoint_every="never"), 200, EPOCH, evaluates=True)
    assert count_due(rules, 70, Prices(step=1.0), last=False) == Due(full=2)
    assert count_due(rules, 70, Prices(step=1.0)) == Due(full=3)


def test_a_share_of_the_time_leaves_out_full_evaluations_but_never_the_last() -> None:
    schedule = ScheduleSettings(eval_every="10 steps", eval_share=0.1, checkpoint_every="never")
    rules = rules_of(schedule, 1000, EPOCH, evaluates=True)
    # each takes as long as 10 steps: one of ten that are due, of a run that takes 1100 seconds
    due = count_due(rules, 1000, Prices(step=1.0, full=10.0))
    assert 10 <= due.full <= 12
    tight = msgspec.structs.replace(schedule, eval_share=0.001)
    assert count_due(rules_of(tight, 1000, EPOCH, evaluates=True), 1000, Prices(step=1.0, full=10.0)).full == 1


def test_where_a_full_one_is_due_the_loss_alone_is_not_evaluated_again() -> None:
    schedule = ScheduleSettings(eval_every="20 steps", fast_eval_every="10 steps", checkpoint_every="never")
    assert count_due(rules_of(schedule, 100, EPOCH, evaluates=True), 100, Prices(step=1.0)) == Due(full=5, loss=5)
    # what a share leaves out of the full ones is at least looked at by its loss
    kept = msgspec.structs.replace(schedule, eval_share=0.01)
    rules = rules_of(kept, 100, EPOCH, evaluates=True)
    assert count_due(rules, 100, Prices(step=1.0, full=50.0)) == Due(full=1, loss=9)


def test_the_loss_alone_is_evaluated_at_the_end_where_full_ones_never_are() -> None:
    rules = rules_of(ScheduleSettings(eval_every="never", fast_eval_every="30 steps", checkpoint_every="never"),
                     100, EPOCH, evaluates=True)  # fmt: skip
    assert count_due(rules, 100, Prices(step=1.0)) == Due(loss=4)


def test_without_an_evaluation_set_nothing_is_evaluated_and_the_best_is_not_known() -> None:
    schedule = ScheduleSettings(fast_eval_every="3 steps", save_only_best=True, checkpoint_every="50 steps")
    rules = rules_of(schedule, 100, EPOCH, evaluates=False)
    assert count_due(rules, 100, Prices(step=1.0)) == Due(saves=2)  # at 10 and 50


def test_of_evaluations_in_no_order_as_many_are_the_best_as_records_are_set() -> None:
    chance = random.Random(3)

    def broken(count: int) -> int:
        best, found = math.inf, 0
        for _ in range(count):
            value = chance.random()
            best, found = (value, found + 1) if value < best else (best, found)
        return found

    for count in (1, 5, 50):
        mean = sum(broken(count) for _ in range(4000)) / 4000
        assert records(0, count) == pytest.approx(mean, rel=0.05)
    assert records(3, 7) == pytest.approx(records(0, 10) - records(0, 3))
    assert records(0, 100_000) == pytest.approx(math.log(100_000) + 0.5772, rel=1e-3)


def test_checkpoints_of_the_best_come_instead_of_those_by_steps_but_not_of_those_by_the_clock() -> None:
    schedule = ScheduleSettings(eval_every="10 steps", save_only_best=True, checkpoint_every="5 steps")
    rules = rules_of(schedule, 100, EPOCH, evaluates=True)
    # nine evaluations before the last, and the early one
    assert count_due(rules, 100, Prices(step=1.0)).saves == pytest.approx(records(0, 9) + 1)
    by_clock = msgspec.structs.replace(schedule, checkpoint_every="30s")
    rules = rules_of(by_clock, 100, EPOCH, evaluates=True)
    assert count_due(rules, 100, Prices(step=1.0)).saves == pytest.approx(records(0, 9) + 1 + 2)


@pytest.mark.parametrize(
    ("total", "every", "first"),
    [(1000, None, 20), (1000, 21, 20), (1000, 20, None), (1000, 5, None), (55, None, 6), (5, None, 1), (1, None, None),
     (200, 30, 20), (2, None, 1)],
)  # fmt: skip
def test_one_checkpoint_is_made_early_where_the_schedule_has_none_by_then(
    total: int, every: int | None, first: int | None
) -> None:
    assert first_save_step(total, every) == first


def test_a_schedule_that_never_saves_has_no_early_checkpoint_either() -> None:
    rules = rules_of(ScheduleSettings(checkpoint_every="never"), 1000, EPOCH, evaluates=True)
    assert rules.first_save is None
    assert count_due(rules, 1000, Prices(step=1.0)).saves == 0


def test_steps_that_take_no_time_at_all_are_counted_too() -> None:
    rules = Rules(full_seconds=10.0, save_seconds=5.0)
    assert count_due(rules, 100_000, Prices(step=0.0)) == Due(full=1)
