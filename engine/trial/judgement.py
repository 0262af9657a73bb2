"""When a throughput probe has seen enough, and what it then says."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import msgspec

from speedtui.engine.candidate import Measurement
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.trial.batches import ProbePlan, mean_seconds
from speedtui.engine.trial.steady import ENOUGH, PRECISE_ENOUGH, Observation, Steady, judge


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
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
            phases=_mean_phases(timings, self.accumulation),
        )

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
        """(mean micro-step at the training's lengths, optimizer's share of a step), seconds."""
        micro = mean_seconds(self.plan.padded, steady.line.fixed, steady.line.per_token)
        per_step = max(len(timings[0].micro_steps), 1)
        kept = timings[min(steady.warmup // per_step, len(timings) - 1) :]
        return micro, statistics.median(timing.optimizer_seconds for timing in kept)


def _observations(timings: Sequence[StepTiming]) -> list[Observation]:
    return [
        Observation(padded_tokens=size, seconds=seconds) for timing in timings for size, seconds in timing.micro_steps
    ]


def _mean_phases(timings: Sequence[StepTiming], accumulation: int) -> dict[str, float]:
    """Of a step of the training: the later half of the probe's, where warm-up is over, with all micro-batches."""
    later = timings[len(timings) // 2 :]
    times = {name: accumulation / len(later[0].micro_steps) for name in later[0].phases} | {
        "optimizer": 1.0,
        "log": 1.0,
    }
    means = {name: statistics.fmean(t.phases[name] for t in later) for name in later[0].phases}
    return {name: round(mean * times[name], 6) for name, mean in means.items()}
