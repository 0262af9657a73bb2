"""When a training will be done, against simulated trainings whose end is known."""

from __future__ import annotations

import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.config.window import Window
from speedtui.engine.state.series import Losses
from speedtui.engine.timing.eta import Eta
from tests.engine.timing.walked_training import Run, lengths, line

EACH_EPOCH = ScheduleSettings(eval_every="1 epoch", checkpoint_every="1 epoch")


def run_with(
    schedule: ScheduleSettings, total: int = 600, *, seed: int = 0, **fields: object
) -> tuple[Run, np.ndarray]:
    """Steps of 10 ms and 1 ms per ten tokens, 5 % around that; and their lengths."""
    sizes = lengths(total, seed)
    factors = np.random.default_rng(seed + 100).lognormal(0.0, 0.05, size=total)
    made: dict[str, object] = {
        "full_seconds": 12.0, "loss_seconds": 3.0, "save_seconds": 2.0, "final_seconds": 1.5,
        "warm_up": (3.0, 0.4, 0.2), "between_seconds": 0.002, "epoch_seconds": 0.5,
    }  # fmt: skip
    run = Run(
        total_steps=total, epoch_steps=100, schedule=schedule,
        step_seconds=lambda i: float((0.01 + 1e-4 * sizes[i]) * factors[i]), **{**made, **fields},
    )  # type: ignore[arg-type]  # fmt: skip
    return run, sizes


def error_at_a_tenth(run: Run, sizes: np.ndarray | None, *, rehearsed: float | None) -> float:
    """(estimate of the finish / real finish) of what was left at 10 % of the steps, less 1."""
    eta = run.eta(sizes=sizes)
    if rehearsed is not None:
        eta.rehearsed(rehearsed, {"eval": rehearsed})
    told: list[tuple[float, float]] = []

    def look(step: int, t: float) -> None:
        if step >= run.total_steps // 10 and not told:
            p50 = eta.update(t).p50_seconds
            assert p50 is not None
            told.append((t, p50))

    over = run.walk(eta, look)
    t, p50 = told[0]
    return (t + p50 - run.start) / (over - run.start) - 1


SCHEDULES = [
    ScheduleSettings(eval_every="1 epoch", checkpoint_every="1 epoch"),
    ScheduleSettings(eval_every="30 steps", checkpoint_every="50 steps"),
    ScheduleSettings(eval_every="30s", checkpoint_every="20s"),
    ScheduleSettings(eval_every="1 epoch", fast_eval_every="20 steps", checkpoint_every="15s"),
    ScheduleSettings(eval_every="50 steps", eval_share=0.2, checkpoint_every="never"),
    ScheduleSettings(eval_every="never", fast_eval_every="40 steps", checkpoint_every="40 steps"),
]


def test_the_finish_is_known_to_five_percent_after_a_tenth_of_the_steps() -> None:
    errors = []
    for seed, schedule in enumerate(SCHEDULES):
        run, sizes = run_with(schedule, seed=seed, first_save=20)
        errors.append(error_at_a_tenth(run, sizes, rehearsed=12.0))
    assert statistics.median(abs(error) for error in errors) < 0.05
    assert max(abs(error) for error in errors) < 0.10


def test_what_lies_ahead_is_longer_than_what_was_and_the_lengths_say_so() -> None:
    total = 1000
    sizes = np.where(np.arange(total) < 200, 100.0, 1000.0) * np.random.default_rng(1).uniform(0.5, 1.5, size=total)
    run = Run(
        total_steps=total, epoch_steps=total, schedule=ScheduleSettings(eval_every="never", checkpoint_every="never"),
        step_seconds=lambda i: float(0.05 + 1e-4 * sizes[i]),
    )  # fmt: skip
    with_lengths, without = (error_at_a_tenth(run, known, rehearsed=None) for known in (sizes, None))
    assert abs(with_lengths) < 0.03
    assert without < -0.3


def test_an_evaluation_and_its_share_of_the_finish_are_counted_before_the_first_one_was_made() -> None:
    run, sizes = run_with(EACH_EPOCH, full_seconds=60.0)
    assert abs(error_at_a_tenth(run, sizes, rehearsed=60.0)) < 0.05
    assert error_at_a_tenth(run, sizes, rehearsed=None) < -0.5


def test_a_first_guess_comes_from_the_estimate_of_the_trial() -> None:
    run, sizes = run_with(EACH_EPOCH)
    terms = {"load": 9.0, "steps": 600 * 0.06, "evals": 6 * 12.0, "saves": 5 * 2.0, "final": 1.5}
    estimate = Estimate(p50_seconds=128.5, p90_seconds=140.0, terms=terms, total_steps=600, evals=6, saves=5)
    eta = run.eta(sizes=sizes, estimate=estimate)
    before = eta.update(run.start)
    assert before.terms == {"steps": 36.0, "evals": 72.0, "saves": pytest.approx(2.0 * 6), "final": 1.5}
    assert (eta.eval_seconds("full"), eta.save_seconds(), eta.step_seconds()) == (12.0, 2.0, pytest.approx(0.06))


def test_nothing_is_known_before_the_first_step() -> None:
    run, _ = run_with(EACH_EPOCH)
    update = run.eta(window=Window(deadline=100.0, margin_seconds=0.0)).update(run.start)
    assert (update.p50_seconds, update.p90_seconds, update.verdict) == (None, None, "measuring")


def test_the_time_left_goes_down_while_an_evaluation_runs() -> None:
    eta = steady_eta(EACH_EPOCH, steps=100, step=1.0)
    eta.rehearsed(50.0, {"eval": 20.0, "generate": 30.0})
    before = eta.update(100.0).p50_seconds
    eta.began("full", 100.0)
    left = [eta.update(100.0 + passed).p50_seconds for passed in (0.0, 10.0, 40.0, 50.0, 70.0)]
    assert before is not None and all(value is not None for value in left)
    # the one at step 100 was no longer among those to come
    assert left[0] == pytest.approx(before + 50.0)
    assert [left[0] - value for value in left if value is not None] == pytest.approx([0.0, 10.0, 40.0, 50.0, 50.0])


def test_the_time_left_goes_down_within_a_long_step_and_no_further_than_it() -> None:
    eta = steady_eta(EACH_EPOCH, steps=50, step=4.0)
    left = [eta.update(200.0 + passed).terms["steps"] for passed in (0.0, 2.0, 4.0, 60.0)]
    assert left == pytest.approx([left[0], left[0] - 2.0, left[0] - 4.0, left[0] - 4.0])


def test_what_an_evaluation_took_is_no_part_of_a_step_and_a_pause_neither() -> None:
    eta = run_with(EACH_EPOCH)[0].eta()
    t = 0.0
    for step in range(1, 101):
        t += 0.5
        eta.observe(line(step, t, 0.5))
        if step % 10 == 0:
            eta.began("full", t)
            eta.evaluated("full", 30.0, {"eval": 30.0})
            t += 30.0
        if step == 55:
            t += 600.0
    assert eta.step_seconds() == pytest.approx(0.5)
    assert eta.update(t).terms["steps"] == pytest.approx(500 * 0.5, rel=0.01)


def test_warm_up_and_a_single_stall_hardly_move_the_pace() -> None:
    eta = run_with(EACH_EPOCH)[0].eta()
    t = 0.0
    for step in range(1, 201):
        took = 20.0 if step == 1 else 60.0 if step == 150 else 0.5
        t += took
        eta.observe(line(step, t, took))
    assert eta.update(t).terms["steps"] == pytest.approx(400 * 0.5, rel=0.03)


def test_the_pace_follows_a_machine_that_becomes_slower() -> None:
    eta = run_with(EACH_EPOCH, total=10_000)[0].eta()
    t = 0.0
    for step in range(1, 2001):
        took = 0.1 if step <= 1000 else 0.2
        t += took
        eta.observe(line(step, t, took))
    assert eta.step_seconds() == pytest.approx(0.2)
    assert eta.update(t).terms["steps"] == pytest.approx(8000 * 0.2, rel=0.05)


def test_a_changed_schedule_counts_from_then_on() -> None:
    eta = steady_eta(ScheduleSettings(eval_every="10 steps", checkpoint_every="never"), steps=100, step=1.0)
    eta.evaluated("full", 6.0, {"eval": 2.0, "generate": 4.0})
    assert eta.update(100.0).terms["evals"] == pytest.approx(50 * 6.0)
    eta.change(ScheduleSettings(eval_every="200 steps", fast_eval_every="10 steps", checkpoint_every="never"), 100)
    assert eta.update(100.0).terms["evals"] == pytest.approx(3 * 6.0 + 47 * 2.0)
    eta.shorten(300)
    assert eta.update(100.0).terms["evals"] == pytest.approx(2 * 6.0 + 18 * 2.0)
    assert eta.update(100.0).terms["steps"] == pytest.approx(200.0)


def test_the_end_takes_what_saves_took_at_most_and_a_guess_before_there_is_one() -> None:
    run, _ = run_with(EACH_EPOCH)
    eta = run.eta(save_guess_seconds=40.0)
    assert eta.end_seconds() == 80.0
    for seconds in (3.0, 5.0, 4.0):
        eta.saved(seconds)
    assert eta.end_seconds() == pytest.approx(2 * (4.0 + 2 * 1.0))
    eta.saved(20.0)
    assert eta.end_seconds() >= 2 * 20.0


def test_as_many_steps_fit_as_end_before_the_margin() -> None:
    # from t = 100 until 400: 5 s are kept for a checkpoint of 2 s, the model and their spread
    eta = steady_eta(
        ScheduleSettings(eval_every="10 steps", checkpoint_every="never"), steps=100, step=1.0,
        window=Window(deadline=500.0, margin_seconds=100.0),
    )  # fmt: skip
    eta.evaluated("full", 10.0, {"eval": 10.0})
    eta.saved(2.0)
    eta.saved(2.0)
    reached = eta.reachable_steps(100.0)
    # each ten steps take 20 seconds: 296 seconds hold 14 tens and nine or ten steps, but no evaluation after them
    assert reached == 149
    assert eta.reachable_steps(100_000.0) == 0
    assert steady_eta(EACH_EPOCH, steps=100, step=1.0).reachable_steps(0.0) is None
    ample = steady_eta(EACH_EPOCH, steps=100, step=1.0, window=Window(deadline=1e6, margin_seconds=0.0))
    assert ample.reachable_steps(100.0) == 500


def test_a_verdict_waits_for_steady_steps_and_flips_no_more_than_once_in_thirty_seconds() -> None:
    window = Window(deadline=700.0, margin_seconds=20.0)
    eta = run_with(EACH_EPOCH)[0].eta(window=window)
    t, told = 0.0, []
    for step in range(1, 601):
        took = 1.0 if step <= 100 or 110 < step <= 200 else 6.0
        t += took
        eta.observe(line(step, t, took))
        told.append((t, eta.update(t).verdict))
    assert {verdict for t, verdict in told if t < 20} == {"measuring"}
    flips = [t for (_, before), (t, after) in itertools.pairwise(told) if before != after]
    assert len(flips) >= 3
    assert min(np.diff(flips[1:])) >= 30.0
    assert told[-1][1] == "late"


def test_half_of_the_finishes_lie_on_each_side_and_nine_in_ten_before_the_p90() -> None:
    later, much_later = 0, 0
    chance = np.random.default_rng(7)
    for seed in range(40):
        drift, rehearsed = 1 + 0.02 * chance.standard_normal(), 12.0 * chance.lognormal(0.0, 0.25)
        run, sizes = run_with(SCHEDULES[seed % 4], 400, seed=seed, first_save=20, final_seconds=2.0)
        run.step_seconds = slower(run.step_seconds, drift)
        eta, told = run.eta(sizes=sizes), []
        eta.rehearsed(rehearsed, {"eval": rehearsed / 4, "generate": rehearsed * 3 / 4})

        def look(step: int, t: float, eta: Eta = eta, told: list[e.EtaUpdated] = told) -> None:
            if step == 28:
                told.append(eta.update(t))

        over = run.walk(eta, look)
        (update,) = told
        later += over > update.t + (update.p50_seconds or 0.0)
        much_later += over > update.t + (update.p90_seconds or 0.0)
    assert 8 <= later <= 32
    assert much_later <= 8


def slower(step_seconds: Callable[[int], float], factor: float) -> Callable[[int], float]:
    """From the thirtieth step on."""
    return lambda i: step_seconds(i) * (factor if i >= 30 else 1.0)


def test_a_resumed_training_is_judged_by_its_own_steps() -> None:
    eta = run_with(EACH_EPOCH)[0].eta(first_step=400)
    for step in range(401, 431):
        eta.observe(line(step, 1000.0 + step, 1.0))
    assert eta.update(1430.0).terms["steps"] == pytest.approx(170.0)


def test_a_run_of_a_million_steps_costs_no_more_per_line_at_its_end() -> None:
    total = 1_000_000
    run = Run(
        total_steps=total, epoch_steps=10_000, step_seconds=lambda i: 0.001,
        schedule=ScheduleSettings(eval_every="30s", fast_eval_every="100 steps", checkpoint_every="10s"),
    )  # fmt: skip
    eta = run.eta(sizes=np.full(total, 100.0), window=Window(deadline=1e6, margin_seconds=0.0))

    def feed(first: int, last: int) -> float:
        began = time.process_time()
        for step in range(first, last, 50):
            eta.observe(line(step, step * 0.001, 0.05, steps=50))
            if step % 1000 == 0:
                eta.update(step * 0.001)
        return time.process_time() - began

    early = feed(50, 100_000)
    feed(100_000, 850_000)
    tracemalloc.start()
    feed(850_000, 900_000)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    late = feed(900_000, total)
    assert grown < 100_000
    assert late < 4 * early


def test_the_losses_of_the_first_and_last_lines_are_compared() -> None:
    eta = run_with(EACH_EPOCH)[0].eta()
    assert eta.losses() == (None, None)
    for step in range(1, 31):
        eta.observe(line(step, float(step), 1.0, loss=float(step)))
    assert eta.losses() == (5.5, 25.5)


def test_the_losses_of_another_worker_go_on_where_the_checkpoint_was() -> None:
    before = Losses()
    for step in range(1, 13):
        before.add(step, float(step))
    assert before.means() == (3.5, 9.5)
    after = Losses(*before.ends)
    after.rewind(8)
    assert after.means() == (2.5, 6.5)
    eta = run_with(EACH_EPOCH)[0].eta(losses=after)
    for step in range(9, 31):
        eta.observe(line(step, float(step), 1.0, loss=float(100 + step)))
    assert eta.losses() == (pytest.approx((36 + 109 + 110) / 10), pytest.approx(125.5))


def test_what_is_made_again_after_going_back_takes_the_place_of_its_losses() -> None:
    eta = run_with(EACH_EPOCH)[0].eta()
    for step in range(1, 13):
        eta.observe(line(step, float(step), 1.0, loss=float(step)))
    eta.goes_on_from(8)
    assert eta.losses() == (2.5, 6.5)
    eta.observe(line(9, 20.0, 1.0, loss=100.0))
    assert eta.losses() == (2.5, pytest.approx((6 + 7 + 8 + 100) / 4))


def steady_eta(schedule: ScheduleSettings, *, steps: int, step: float, window: Window | None = None) -> Eta:
    """After so many equal steps of 600, 100 of them an epoch, that began at t = 0."""
    run = Run(total_steps=600, epoch_steps=100, schedule=schedule, step_seconds=lambda i: step, start=0.0)
    eta = run.eta(window=window)
    for number in range(1, steps + 1):
        eta.observe(line(number, number * step, step))
    return eta
