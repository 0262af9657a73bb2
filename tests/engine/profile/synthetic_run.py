"""A run whose time and memory follow simple sums, for what is given up."""

from __future__ import annotations

import math

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.profile.levers import Facts
from speedtui.engine.schedule.rules import frequency_steps
from speedtui.engine.schedule.steps import StepCounts, count_steps

SETTINGS = Settings(
    model=ModelSettings(path="m"),
    data=DataSettings(train="t", text="x", max_length=2000),
    train=TrainSettings(effective_batch_size=16, micro_batch_size=4, epochs=3),
    schedule=ScheduleSettings(eval_every="50 steps", checkpoint_every="15m"),
)


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of 10, 20, ... up to `longest` tokens, as many of each."""

    rows: int = 1600
    longest: int = 1000
    seconds_per_token: float = 0.01
    """Of the mean row, padded to its micro-batch where rows are not grouped."""
    seconds_per_micro_step: float = 1.0
    eval_seconds: float = 60.0
    save_seconds: float = 30.0
    load_seconds: float = 100.0
    grouped_saves: float = 0.0
    """Share of the time in steps that group_by_length saves."""
    spread: float = 0.1
    """P90 = P50 x (1 + spread)."""

    @property
    def facts(self) -> Facts:
        """As a dataset would tell them."""
        return Facts(
            rows=self.rows,
            tokens_at=lambda share: math.ceil(share * self.longest),
            rows_cut=lambda length: round(self.rows * max(1 - length / self.longest, 0)),
        )

    def estimate(self, settings: Settings) -> Estimate:
        """The sum of its terms."""
        train = settings.train
        counts = count_steps(
            self.rows,
            train.micro_batch_size,
            train.effective_batch_size,
            epochs=train.epochs,
            max_steps=train.max_steps,
        )
        cut = min(settings.data.max_length, self.longest)
        mean = (self.longest - cut) / self.longest * cut + cut / self.longest * cut / 2
        micro_steps = counts.total_steps * counts.accumulation
        steps = micro_steps * (self.seconds_per_micro_step + train.micro_batch_size * mean * self.seconds_per_token)
        if train.gradient_checkpointing:
            steps *= 1.3
        if train.group_by_length:
            steps *= 1 - self.grouped_saves
        evals = evals_of(parse_frequency(settings.schedule.eval_every), counts)
        every = parse_frequency(settings.schedule.checkpoint_every)
        running = steps + evals * self.eval_seconds
        saves = saves_of(every, counts, running)
        terms = {
            "load": self.load_seconds,
            "steps": steps,
            "evals": evals * self.eval_seconds,
            "saves": saves * self.save_seconds,
            "final": self.save_seconds,
        }
        p50 = sum(terms.values())
        return Estimate(
            p50_seconds=p50, p90_seconds=p50 * (1 + self.spread), terms=terms, total_steps=counts.total_steps,
            evals=evals, saves=saves,
        )  # fmt: skip

    def memory_with(self, limit: int, fixed: int = 1000, per_token: int = 1) -> Memory:
        """Its memory on a device of so many bytes."""
        return Memory(run=self, limit=limit, fixed=fixed, per_token=per_token)


def evals_of(every: Frequency, counts: StepCounts) -> int:
    """At every multiple, and at the last step."""
    steps = frequency_steps(every, counts.epoch_steps)
    return 0 if steps is None else math.ceil(counts.total_steps / steps)


def saves_of(every: Frequency, counts: StepCounts, seconds: float) -> int:
    """Of a run that takes so many seconds without them; none is made early."""
    steps = frequency_steps(every, counts.epoch_steps)
    if steps is not None:
        return (counts.total_steps - 1) // steps
    step = seconds / counts.total_steps
    return 0 if every.seconds is None else int((seconds - step) / (every.seconds + step / 2))


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """fixed + micro-batch x longest x per_token bytes; a fifth of the latter with checkpointing."""

    run: Run
    limit: int
    fixed: int
    per_token: int

    def __call__(self, settings: Settings) -> tuple[int, int]:
        """(peak, limit)."""
        rows = settings.train.micro_batch_size * min(settings.data.max_length, self.run.longest)
        kept = rows * self.per_token // (5 if settings.train.gradient_checkpointing else 1)
        return self.fixed + kept, self.limit
