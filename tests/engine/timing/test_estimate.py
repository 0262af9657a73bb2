"""The whole run: its terms, how often something happens in it, and how late it may be."""

from __future__ import annotations

import math
import time

import msgspec
import pytest

from speedtui.engine.candidate import Curve
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.costs import RunCosts, StepsTime
from speedtui.engine.schedule.rules import frequency_steps
from speedtui.engine.timing.estimate import estimate_run, estimate_schedule, time_steps
from speedtui.engine.timing.run_shape import RunShape

STEPS = StepsTime(seconds=100.0, deviation=2.0, uncertainty=0.03, total_steps=100, epoch_steps=40, epochs=3)
COSTS = RunCosts(
    load_seconds=5.0, start_seconds=0.5, compile_seconds=20.0, epoch_seconds=0.25, eval_seconds=3.0, save_seconds=2.0,
    final_seconds=1.0,
)  # fmt: skip
NEVER = ScheduleSettings(eval_every="never", checkpoint_every="never")


def schedule(eval_every: str = "never", checkpoint_every: str = "never") -> ScheduleSettings:
    return ScheduleSettings(eval_every=eval_every, checkpoint_every=checkpoint_every)


@pytest.mark.parametrize(
    ("every", "evals"), [("30 steps", 4), ("25 steps", 4), ("100 steps", 1), ("500 steps", 1), ("1 epoch", 3),
                         ("0.5 epochs", 5), ("never", 0)],
)  # fmt: skip
def test_evaluations_come_at_every_multiple_and_at_the_last_step(every: str, evals: int) -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule(eval_every=every), evaluates=True)
    assert estimate.evals == evals
    assert estimate.terms["evals"] == pytest.approx(3.0 * evals)


@pytest.mark.parametrize(
    ("every", "saves"), [("30 steps", 4), ("25 steps", 4), ("100 steps", 1), ("1 epoch", 3), ("10 steps", 9),
                         ("never", 0)],
)  # fmt: skip
def test_one_checkpoint_comes_early_and_one_due_at_the_last_step_is_the_final_save(every: str, saves: int) -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule(checkpoint_every=every), evaluates=True)
    assert estimate.saves == saves
    assert estimate.terms["saves"] == pytest.approx(2.0 * saves)
    assert estimate.terms["final"] == 1.0


def test_what_comes_by_the_clock_follows_the_time_that_passes() -> None:
    # 120.75 s of steps, the compiler's among them, 1.2 s each: at 8.4 s of them and 3 s of evaluation once more
    by_clock = estimate_schedule(STEPS, COSTS, schedule(eval_every="8s"), evaluates=True)
    assert by_clock.evals == math.ceil(100 / 7)
    slower = msgspec.structs.replace(STEPS, seconds=200.0)
    assert estimate_schedule(slower, COSTS, schedule(eval_every="8s"), evaluates=True).evals > by_clock.evals
    saved = estimate_schedule(STEPS, COSTS, schedule(checkpoint_every="16s"), evaluates=True)
    assert saved.saves == 1 + (100 - 10) // 14  # the early one after ten steps, then one every fourteen


def test_a_full_evaluation_costs_what_it_generates_and_scores_and_one_of_the_loss_alone_does_not() -> None:
    costs = msgspec.structs.replace(COSTS, generate_seconds=10.0, metric_seconds=4.0)
    plain = ScheduleSettings(eval_every="50 steps", fast_eval_every="10 steps", checkpoint_every="never")
    for changes, terms in (
        ({}, (30.0, 0.0, 0.0)),
        ({"generate": True}, (30.0, 20.0, 0.0)),
        ({"generate": True, "metric": "m.py:score"}, (30.0, 20.0, 8.0)),
        ({"generate": True, "metric": ""}, (30.0, 20.0, 0.0)),
    ):
        asked = msgspec.structs.replace(plain, **changes)
        estimate = estimate_schedule(STEPS, costs, asked, evaluates=True)
        assert tuple(estimate.terms[name] for name in ("evals", "generate", "metric")) == pytest.approx(terms)
        assert estimate.evals == 10


def test_evaluations_keep_to_their_share_of_the_time() -> None:
    often = msgspec.structs.replace(schedule("5 steps"), eval_share=0.1)
    estimate = estimate_schedule(STEPS, COSTS, often, evaluates=True)
    assert estimate.terms["evals"] == pytest.approx(0.1 * estimate.running_seconds, abs=2 * 3.0)
    assert estimate_schedule(STEPS, COSTS, schedule("5 steps"), evaluates=True).evals == 20


def test_only_the_best_is_saved_as_often_as_evaluations_set_a_record() -> None:
    asked = msgspec.structs.replace(schedule("10 steps", "5 steps"), save_only_best=True)
    estimate = estimate_schedule(STEPS, COSTS, asked, evaluates=True)
    expected = sum(1 / n for n in range(1, 10))  # the early one is that of the first evaluation, which is the best
    assert estimate.terms["saves"] == pytest.approx(2.0 * expected)
    assert estimate.saves == round(expected)


def test_a_frequency_is_so_many_steps() -> None:
    for text, steps in (("7 steps", 7), ("1 epoch", 60), ("0.3 epochs", 18), ("0.001 epochs", 1), ("never", None)):
        assert frequency_steps(parse_frequency(text), 60) == steps


def test_the_terms_add_up_to_the_middle_estimate() -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule("30 steps", "30 steps"), evaluates=True)
    assert math.fsum(estimate.terms.values()) == pytest.approx(estimate.p50_seconds)
    assert set(estimate.terms) == {"load", "compile", "steps", "evals", "generate", "metric", "saves", "final"}
    assert estimate.terms["load"] == 5.5
    assert estimate.terms["steps"] == pytest.approx(100 + 3 * 0.25)
    assert estimate.total_steps == 100


def test_without_an_evaluation_set_nothing_is_evaluated() -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule("10 steps"), evaluates=False)
    assert (estimate.evals, estimate.terms["evals"]) == (0, 0)


def test_what_was_not_measured_counts_as_nothing() -> None:
    estimate = estimate_schedule(STEPS, RunCosts(), schedule("10 steps", "10 steps"), evaluates=True)
    assert (estimate.evals, estimate.saves, estimate.p50_seconds) == (10, 9, 100.0)


def test_the_ninety_percent_point_follows_from_curve_and_micro_steps() -> None:
    estimate = estimate_schedule(STEPS, RunCosts(), NEVER, evaluates=False)
    expected = 1.2816 * math.hypot(0.03 * 100, 2.0)
    assert estimate.p90_seconds - estimate.p50_seconds == pytest.approx(expected, rel=0.06)


def test_an_exact_curve_leaves_nothing_to_be_late() -> None:
    exact = msgspec.structs.replace(STEPS, deviation=0.0, uncertainty=0.0)
    estimate = estimate_schedule(exact, COSTS, schedule("10 steps", "7s"), evaluates=True)
    assert estimate.p90_seconds == estimate.p50_seconds


@pytest.mark.parametrize("checkpoint", ["never", "7 steps", "3s", "30m"])
def test_nine_runs_in_ten_never_end_before_half_of_them(checkpoint: str) -> None:
    for uncertainty in (0.0, 0.01, 0.3):
        steps = msgspec.structs.replace(STEPS, uncertainty=uncertainty)
        estimate = estimate_schedule(steps, COSTS, schedule("20 steps", checkpoint), evaluates=True)
        assert estimate.p90_seconds >= estimate.p50_seconds


def test_the_same_question_has_the_same_answer() -> None:
    assert estimate_schedule(STEPS, COSTS, schedule("20 steps", "9s"), evaluates=True) == estimate_schedule(
        STEPS, COSTS, schedule("20 steps", "9s"), evaluates=True
    )


def test_a_run_is_its_steps_under_a_schedule() -> None:
    curve = Curve(fixed=0.1, per_token=1e-4, per_square=0.0, optimizer_seconds=0.2, spread=0.05, uncertainty=0.02)
    shape = RunShape(
        total_steps=10, epoch_steps=10, epochs=1, micro_steps=20, samples=40, tokens=3000.0, sums=(20.0, 4000.0, 0.0),
        moments=((20.0, 4000.0, 0.0), (4000.0, 800_000.0, 0.0), (0.0, 0.0, 0.0)),
    )  # fmt: skip
    estimate = estimate_run(curve, shape, RunCosts(), NEVER, evaluates=False, source="history")
    assert estimate.p50_seconds == pytest.approx(20 * 0.1 + 0.4 + 10 * 0.2)
    assert estimate.source == "history"
    assert time_steps(curve, shape).deviation == pytest.approx(0.05 * math.sqrt(20 * 0.12**2))


def test_a_table_of_schedules_costs_little() -> None:
    estimate_schedule(STEPS, COSTS, NEVER, evaluates=True)
    began = time.process_time()
    for every in range(1, 101):
        estimate_schedule(STEPS, COSTS, schedule(f"{every} steps", "30m"), evaluates=True)
    hundred = time.process_time() - began
    began = time.process_time()
    sum(i * i for i in range(1_000_000))
    assert hundred < 50 * (time.process_time() - began)
