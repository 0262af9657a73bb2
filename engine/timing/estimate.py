"""How long a whole run takes: its steps once, then any schedule of evaluations and checkpoints in microseconds."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from speedtui.engine.candidate import Curve, Estimate, FigureSource
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.costs import ANSWERS, COMPUTED, RunCosts, StepsTime, left_out, time_schedule
from speedtui.engine.schedule.count import Prices
from speedtui.engine.timing.curve import Floats
from speedtui.engine.timing.run_shape import RunShape

DRAWS = 4096
"""Of the Monte Carlo; the 90 % point is then known to a fortieth of a standard deviation."""
SEED = 0
PROBE_TO_RUN = 0.05
"""Relative standard deviation by which a run's steps differ from what a probe's curve makes of them, besides what the
curve's own points show: the machine at another time. Of 16 short runs nine in ten ended before a P90 made with it; by
itself the deviation was 0.04 in wall time and 0.02 in CPU time (steps_s beside steps_predicted_s in finish_time.json
and finish_time_cpu.json, tests/bench/results)."""


def time_steps(curve: Curve, shape: RunShape) -> StepsTime:
    """The run's steps, by its curve."""
    return StepsTime(
        seconds=shape.seconds(curve), deviation=shape.deviation(curve),
        uncertainty=math.hypot(curve.uncertainty, PROBE_TO_RUN),
        total_steps=shape.total_steps, epoch_steps=shape.epoch_steps, epochs=shape.epochs,
    )  # fmt: skip


def estimate_run(
    curve: Curve, shape: RunShape, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool,
    source: FigureSource = "measured",
) -> Estimate:  # fmt: skip
    """The whole run; `evaluates`: there is an evaluation set."""
    return estimate_schedule(time_steps(curve, shape), costs, schedule, evaluates=evaluates, source=source)


def estimate_schedule(
    steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool, source: FigureSource = "measured"
) -> Estimate:
    """The whole run under this schedule.

    P50 is the sum of the terms. P90 is as far above it as the 90 % point of simulated runs is above their median:
    a run's steps and evaluations share one error of the curve, its micro-steps each have their own, its answers share
    the error of what they are expected to be, and the number of checkpoints and evaluations by the clock follows from
    the time that passes.

    Raises:
        ValueError: a frequency of the schedule cannot be read.
    """
    terms, due, each = time_schedule(steps, costs, schedule, evaluates=evaluates)
    late = _lateness(steps, terms, costs.answers_spread, _by_clock(schedule, each, evaluates=evaluates))
    p50 = math.fsum(terms.values())
    return Estimate(
        p50_seconds=p50, p90_seconds=p50 + late, terms=terms, total_steps=steps.total_steps,
        evals=due.full + due.loss, saves=round(due.saves), source=source, unmeasured=left_out(costs, schedule, due),
    )  # fmt: skip


def _by_clock(schedule: ScheduleSettings, each: Prices, *, evaluates: bool) -> list[tuple[float, float]]:
    """(seconds of one, seconds from one to the next) of what comes by the clock."""
    spaced = [(each.save, schedule.checkpoint_every)]
    if evaluates:
        spaced += [(each.full, schedule.eval_every), (each.loss, schedule.fast_eval_every)]
    found = [(seconds, parse_frequency(every).seconds) for seconds, every in spaced]
    return [(seconds, every) for seconds, every in found if every is not None]


def _lateness(
    steps: StepsTime, terms: dict[str, float], answers_spread: float, by_clock: list[tuple[float, float]]
) -> float:
    """Seconds from the median of the simulated runs to their 90 % point."""
    of_curve, of_steps, of_answers = _draws()
    computed = math.fsum(terms[name] for name in COMPUTED)
    answers = math.fsum(terms[name] for name in ANSWERS)
    drawn = computed * steps.uncertainty * of_curve + steps.deviation * of_steps
    drawn = drawn + answers * answers_spread * of_answers
    extra = drawn
    for seconds, every in by_clock:
        extra = extra + np.floor((computed + answers + drawn) / every) * seconds
    p50, p90 = np.percentile(extra, (50, 90))
    return float(p90 - p50)


@lru_cache(maxsize=1)
def _draws() -> tuple[Floats, Floats, Floats]:
    """Standard normal numbers for (the curve, the micro-steps, the answers) of each simulated run, the same ones every
    time."""
    generator = np.random.default_rng(SEED)
    curve, steps, answers = (generator.standard_normal(DRAWS) for _ in range(3))
    return curve, steps, answers
