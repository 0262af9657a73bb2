"""When a throughput probe has seen enough, and what it then says."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec
import numpy as np

from speedtui.engine.candidate import Curve, CurvePoint, Measurement
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.timing.curve import design, fit_curve
from speedtui.engine.trial.batches import ProbePlan
from speedtui.engine.trial.steady import ENOUGH, PRECISE_ENOUGH, Observation, Steady, judge

OPTIMIZER = "optimizer"


class ProbeRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for one probe."""

    plan: ProbePlan
    batches: int
    """Steady micro-batches after which it ends in any case."""
    micro_batch_size: int
    accumulation: int
    """Micro-batches an optimizer step of the training, not of the probe."""
    lengths_known: bool
    early_stop: bool = True
    best: Measurement | None = None
    """The incumbent."""

    def done(self, timings: Sequence[StepTiming]) -> bool:
        """Whether more micro-steps would change nothing."""
        observations = _observations(timings)
        if len(observations) < ENOUGH:
            return False
        steady = judge(observations)
        if steady.count >= self.batches:
            return True
        if not self.early_stop or steady.count < ENOUGH:
            return False
        return steady.half_width < PRECISE_ENOUGH or self._loses(timings, steady)

    def enough(self, timings: Sequence[StepTiming]) -> bool:
        """Whether there is something to tell by, should it have to end now."""
        return len(_observations(timings)) >= ENOUGH

    def measurement(self, timings: Sequence[StepTiming]) -> Measurement:
        """What the probe found, scaled from its own accumulation to the training's.

        Raises:
            ValueError: there are no timings.
        """
        steady = judge(_observations(timings))
        micro, optimizer = self._parts(timings, steady)
        step = self.accumulation * micro + optimizer
        width = steady.half_width if math.isfinite(steady.half_width) else 0.0
        padded = statistics.fmean(self.plan.padded)
        return Measurement(
            batches=steady.count,
            warmup_batches=steady.warmup,
            micro_step_seconds=micro,
            optimizer_seconds=optimizer,
            step_seconds=step,
            step_seconds_low=step / (1 + width),
            step_seconds_high=step * (1 + width),
            samples_per_second=self.micro_batch_size * self.accumulation / step,
            tokens_per_second=self.plan.mean_tokens * self.accumulation / step,
            padding_fraction=1 - self.plan.mean_tokens / padded if self.lengths_known else 0.0,
            loss=timings[-1].loss,
            phases=_phases(_kept(timings, steady.warmup), self.accumulation * micro, optimizer),
        )

    def curve(self, timings: Sequence[StepTiming]) -> Curve:
        """Time against length, by the micro-steps after warm-up; only what is fixed where lengths are unknown.

        Raises:
            ValueError: there are no timings.
        """
        observations = _observations(timings)
        warmup = judge(observations).warmup
        return fit_curve([self._point(o) for o in observations[warmup:]], self._besides(timings, warmup))

    def warmup_seconds(self, timings: Sequence[StepTiming]) -> float:
        """What the first step, or all micro-steps that were dropped, took longer than others of their length."""
        observations, curve = _observations(timings), self.curve(timings)
        first = observations[: max(judge(observations).warmup, len(timings[0].micro_steps))]
        points = [self._point(observation) for observation in first]
        return max(math.fsum(p.seconds - curve.seconds(p.micro_batch_size, p.tokens) for p in points), 0.0)

    def judged_seconds(self, timings: Sequence[StepTiming]) -> float:
        """What the steps after warm-up took, all together."""
        warmup = judge(_observations(timings)).warmup
        return math.fsum(seconds for timing in _kept(timings, warmup) for seconds in timing.phases.values())

    def _point(self, observation: Observation) -> CurvePoint:
        tokens = round(observation.padded_tokens / self.micro_batch_size) if self.lengths_known else 0
        return CurvePoint(micro_batch_size=self.micro_batch_size, tokens=tokens, seconds=observation.seconds)

    def _besides(self, timings: Sequence[StepTiming], warmup: int) -> float:
        return statistics.median(besides_seconds(timing) for timing in _kept(timings, warmup))

    def loses(self, measurement: Measurement) -> bool:
        """Whether even its optimistic bound is slower than the incumbent's pessimistic one."""
        best = self.best
        if best is None or measurement.step_seconds_low == measurement.step_seconds:
            return False
        samples = self.micro_batch_size * self.accumulation
        floor = best.samples_per_second * best.step_seconds / best.step_seconds_high
        return samples / measurement.step_seconds_low < floor

    def _loses(self, timings: Sequence[StepTiming], steady: Steady) -> bool:
        return math.isfinite(steady.half_width) and self.loses(self.measurement(timings))

    def _parts(self, timings: Sequence[StepTiming], steady: Steady) -> tuple[float, float]:
        """(mean micro-step at the training's lengths, optimizer's share of a step), seconds.

        The mean is the curve's: a line through what is convex in the length was 6 to 9 % too low for skewed lengths
        (tests/bench/results/probe_design.json).
        """
        curve = self.curve(timings)
        tokens = np.array(self.plan.padded) / self.micro_batch_size * self.lengths_known
        parts = np.array([curve.fixed, curve.per_token, curve.per_square])
        micro = float((design(self.micro_batch_size, tokens) @ parts).mean())
        return micro, statistics.median(timing.optimizer_seconds for timing in _kept(timings, steady.warmup))


def _kept(timings: Sequence[StepTiming], warmup: int) -> Sequence[StepTiming]:
    """The steps after so many micro-steps of warm-up; at least the last one."""
    per_step = max(len(timings[0].micro_steps), 1)
    return timings[min(warmup // per_step, len(timings) - 1) :]


def besides_seconds(timing: StepTiming) -> float:
    """What a step took besides its micro-steps: the optimizer, and what the trainer does around it."""
    return max(math.fsum(timing.phases.values()) - math.fsum(seconds for _, seconds in timing.micro_steps), 0.0)


def _observations(timings: Sequence[StepTiming]) -> list[Observation]:
    return [
        Observation(padded_tokens=size, seconds=seconds) for timing in timings for size, seconds in timing.micro_steps
    ]


def _phases(timings: Sequence[StepTiming], micro_steps_seconds: float, optimizer_seconds: float) -> dict[str, float]:
    """Of a step of the training, which they add up to: the optimizer's, and the micro-steps' time shared out as all
    else was in the probe's steps after warm-up."""
    sums = {name: math.fsum(t.phases.get(name, 0.0) for t in timings) for name in timings[-1].phases}
    whole = math.fsum(seconds for name, seconds in sums.items() if name != OPTIMIZER)
    if whole <= 0:
        return {"other": round(micro_steps_seconds, 9), OPTIMIZER: round(optimizer_seconds, 9)}
    scale = micro_steps_seconds / whole
    return {name: round(seconds * scale, 9) for name, seconds in sums.items()} | {
        OPTIMIZER: round(optimizer_seconds, 9)
    }
