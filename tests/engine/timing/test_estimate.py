"""The whole run: its terms, how often something happens in it, and how late it may be."""

from __future__ import annotations

import math
import time

import msgspec
import pytest

from speedtui.engine.candidate import Curve
from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.costs import RunCosts
from speedtui.engine.timing.counts import count_evals, count_saves, frequency_steps
from speedtui.engine.timing.estimate import StepsTime, estimate_run, estimate_schedule, time_steps
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
    ("every", "saves"), [("30 steps", 3), ("25 steps", 3), ("100 steps", 0), ("1 epoch", 2), ("never", 0)]
)  # fmt: skip
def test_a_checkpoint_due_at_the_last_step_is_the_final_save(every: str, saves: int) -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule(checkpoint_every=every), evaluates=True)
    assert estimate.saves == saves
    assert estimate.terms["saves"] == pytest.approx(2.0 * saves)
    assert estimate.terms["final"] == 1.0


def test_checkpoints_by_the_clock_follow_the_time_that_passes() -> None:
    def saved_in(total: int, step_seconds: float, every: float, save: float) -> int:
        """As the schedule goes: the clock starts anew when a checkpoint is on disk."""
        now, last, saves = 0.0, 0.0, 0
        for step in range(1, total + 1):
            now += step_seconds
            if now - last >= every and step < total:
                now += save
                last, saves = now, saves + 1
        return saves

    for total, step, every in ((1000, 1.0, 60.5), (1000, 0.5, 7.25), (50, 3.0, 31.0), (10, 1.0, 100.0), (10, 9.0, 4.0)):
        counted = count_saves(Frequency(seconds=every), total, 10, total * step)
        assert counted == pytest.approx(saved_in(total, step, every, 2.0), abs=max(1, 0.03 * counted))


def test_a_frequency_is_so_many_steps() -> None:
    for text, steps in (("7 steps", 7), ("1 epoch", 60), ("0.3 epochs", 18), ("0.001 epochs", 1), ("never", None)):
        assert frequency_steps(parse_frequency(text), 60) == steps
    assert count_evals(Frequency(), 100, 10) == 0


def test_the_terms_add_up_to_the_middle_estimate() -> None:
    estimate = estimate_schedule(STEPS, COSTS, schedule("30 steps", "30 steps"), evaluates=True)
    assert math.fsum(estimate.terms.values()) == pytest.approx(estimate.p50_seconds)
    assert set(estimate.terms) == {"load", "compile", "steps", "evals", "generate", "saves", "final"}
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
