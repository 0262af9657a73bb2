"""What a schedule asks for, against a training whose every step is walked through."""

from __future__ import annotations

import math
import random
from itertools import pairwise

import msgspec
import pytest

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import START, Cadence, TrainingPosition
from speedtui.engine.schedule.count import Due, Prices, count_due, records
from speedtui.engine.schedule.rules import Rules, first_save_step, rules_of
from tests.engine.schedule.simulated import EPOCH, Simulated, any_prices, any_schedule

STEPS = 300
"""At most of a training that is walked through."""


def simulated(chance: random.Random, total: int) -> Simulated:
    return Simulated(
        total=total, prices=any_prices(chance), schedule=any_schedule(chance), evaluates=chance.random() < 0.9,
        outcomes=[chance.random() < 0.4 for _ in range(total)],
    )  # fmt: skip


def rules_now(run: Simulated) -> Rules:
    return rules_of(run.schedule, run.total, EPOCH, evaluates=run.evaluates)


def counted(run: Simulated, at: TrainingPosition, last: int) -> Due:
    return count_due(rules_now(run), last, run.prices, at, last=last == run.total, best=run.best)


def test_the_counts_between_any_two_steps_are_those_of_a_training_that_is_walked_through() -> None:
    for seed in range(3000):
        chance = random.Random(seed)
        run = simulated(chance, chance.randint(1, STEPS))
        run.walk(run.total)
        assert counted(run, START, run.total) == run.between(0, run.total), seed
        for _ in range(4):
            first = chance.randrange(run.total)
            last = chance.randint(first, run.total)
            assert counted(run, run.positions[first], last) == run.between(first, last), (seed, first, last)


def test_so_they_are_across_resumes_and_changes_of_the_settings() -> None:
    for seed in range(1500):
        chance = random.Random(seed)
        run = simulated(chance, chance.randint(2, STEPS))
        at = START
        stops = sorted({*(chance.randint(1, run.total) for _ in range(3)), run.total})
        for first, last in pairwise([0, *stops]):
            expected = counted(run, at, last)
            run.walk(last)
            assert expected == run.between(first, last), (seed, first, last)
            cadence = Cadence(rules_now(run), run.position, run.t)
            if chance.random() < 0.5:
                run.is_resumed(away=chance.choice([0.0, 64.0]))
                cadence.begins(run.t)
            else:
                run.is_changed(any_schedule(chance))
                cadence.change(rules_now(run), run.t)
            at = cadence.position(last, run.t)
            assert at == run.position, seed


def test_however_many_come_by_steps_they_are_counted_one_by_one() -> None:
    for seed in range(6):
        chance = random.Random(seed)
        run = simulated(chance, 20_000)
        schedule = run.schedule
        for name, every in (("eval_every", "7 steps"), ("fast_eval_every", "3 steps"), ("checkpoint_every", "300s")):
            schedule = msgspec.structs.replace(schedule, **{name: every})
        run.schedule = msgspec.structs.replace(schedule, eval_share=None, save_only_best=False)
        run.walk(run.total)
        assert counted(run, START, run.total) == run.between(0, run.total)


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
    run = Simulated(total=total, prices=prices, schedule=schedule, outcomes=[False] * total)
    run.walk(total)
    found, true = count_due(rules, total, prices), run.between(0, total)
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
    # nine evaluations before the last; the early one is that of the first of them, which is the best so far
    assert count_due(rules, 100, Prices(step=1.0)).saves == pytest.approx(records(0, 9))
    by_clock = msgspec.structs.replace(schedule, checkpoint_every="30s")
    saves, chance = [], random.Random(0)
    for _ in range(2000):
        values = [chance.random() for _ in range(10)]
        best = [value == min(values[: n + 1]) for n, value in enumerate(values)]
        run = Simulated(total=100, prices=Prices(step=1.0), schedule=by_clock, outcomes=best)
        run.walk(100)
        saves.append(run.between(0, 100).saves)
    rules = rules_of(by_clock, 100, EPOCH, evaluates=True)
    assert count_due(rules, 100, Prices(step=1.0)).saves == pytest.approx(sum(saves) / len(saves), rel=0.15)


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
