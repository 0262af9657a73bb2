"""How long a whole run takes: its steps once, then any schedule of evaluations and checkpoints in microseconds."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec
import numpy as np

from speedtui.engine.candidate import Curve, Estimate, Source
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.timing.costs import RunCosts
from speedtui.engine.timing.counts import count_evals, count_saves
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


class StepsTime(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from a curve and a run's shape, and no schedule changes."""

    seconds: float
    """Of all steps."""
    deviation: float
    """Standard deviation of their sum from that of single micro-steps."""
    uncertainty: float
    """Relative standard deviation of the curve as a forecast of the run."""
    total_steps: int
    epoch_steps: int
    epochs: int
    """Epochs that are begun."""


def time_steps(curve: Curve, shape: RunShape) -> StepsTime:
    """The run's steps, by its curve."""
    return StepsTime(
        seconds=shape.seconds(curve), deviation=shape.deviation(curve),
        uncertainty=math.hypot(curve.uncertainty, PROBE_TO_RUN),
        total_steps=shape.total_steps, epoch_steps=shape.epoch_steps, epochs=shape.epochs,
    )  # fmt: skip


def estimate_run(
    curve: Curve, shape: RunShape, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool,
    source: Source = "measured",
) -> Estimate:  # fmt: skip
    """The whole run; `evaluates`: there is an evaluation set."""
    return estimate_schedule(time_steps(curve, shape), costs, schedule, evaluates=evaluates, source=source)


def estimate_schedule(
    steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, *, evaluates: bool, source: Source = "measured"
) -> Estimate:
    """The whole run under this schedule.

    P50 is the sum of the terms. P90 is as far above it as the 90 % point of simulated runs is above their median:
    a run's steps and evaluations share one error of the curve, its micro-steps each have their own, and the number
    of checkpoints by the clock follows from the time that passes.

    Raises:
        ValueError: a frequency of the schedule cannot be read.
    """
    eval_every = parse_frequency(schedule.eval_every)
    save_every = parse_frequency(schedule.checkpoint_every)
    evals = count_evals(eval_every, steps.total_steps, steps.epoch_steps) if evaluates else 0
    terms = _terms(steps, costs, evals)
    running = terms["steps"] + terms["compile"] + terms["evals"] + terms["generate"]
    saves = count_saves(save_every, steps.total_steps, steps.epoch_steps, running)
    terms |= {"saves": saves * (costs.save_seconds or 0.0), "final": costs.final_seconds or 0.0}
    by_clock = save_every.seconds
    late = _lateness(steps, terms, costs.save_seconds or 0.0 if by_clock else 0.0, by_clock or math.inf)
    p50 = math.fsum(terms.values())
    return Estimate(
        p50_seconds=p50, p90_seconds=p50 + late, terms=terms, total_steps=steps.total_steps, evals=evals, saves=saves,
        source=source,
    )  # fmt: skip


def _terms(steps: StepsTime, costs: RunCosts, evals: int) -> dict[str, float]:
    return {
        "load": (costs.load_seconds or 0.0) + (costs.start_seconds or 0.0),
        "compile": costs.compile_seconds or 0.0,
        "steps": steps.seconds + steps.epochs * (costs.epoch_seconds or 0.0),
        "evals": evals * (costs.eval_seconds or 0.0),
        "generate": evals * (costs.generate_seconds or 0.0),
    }


def _lateness(steps: StepsTime, terms: dict[str, float], save_seconds: float, every_seconds: float) -> float:
    """Seconds from the median of the simulated runs to their 90 % point."""
    of_curve, of_steps = _draws()
    computed = terms["steps"] + terms["evals"] + terms["generate"]
    extra = computed * steps.uncertainty * of_curve + steps.deviation * of_steps
    extra = extra + np.floor((computed + extra) / every_seconds) * save_seconds
    p50, p90 = np.percentile(extra, (50, 90))
    return float(p90 - p50)


@lru_cache(maxsize=1)
def _draws() -> tuple[Floats, Floats]:
    """Standard normal numbers for (the curve, the micro-steps) of each simulated run, the same ones every time."""
    generator = np.random.default_rng(SEED)
    return generator.standard_normal(DRAWS), generator.standard_normal(DRAWS)
