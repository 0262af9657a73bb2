"""What is still to come of a training, and what another schedule would make of it."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.cadence import TrainingPosition
from speedtui.engine.schedule.count import Due, Prices, count_schedule


class Remaining(msgspec.Struct, frozen=True, kw_only=True):
    """A training in progress, from now to its saved model."""

    seconds: float
    """All of it, at P50."""
    steps_seconds: float
    """Of the steps to come."""
    total_steps: int
    epoch_steps: int
    evaluates: bool
    """There is an evaluation set."""
    at: TrainingPosition
    """Where it is, an evaluation or a save in progress ended."""
    prices: Prices
    """What a step, a full evaluation, one of the loss alone and a checkpoint are expected to cost."""
    generate_seconds: float = 0.0
    """Of a full evaluation."""
    metric_seconds: float = 0.0
    """Of a full evaluation."""

    @property
    def steps(self) -> int:
        """Still to come."""
        return max(self.total_steps - self.at.step, 0)

    def due(self, schedule: ScheduleSettings, prices: Prices | None = None, *, total_steps: int | None = None) -> Due:
        """Evaluations and checkpoints to come under this schedule, at other prices or with another last step.

        Raises:
            ValueError: a frequency of the schedule cannot be read.
        """
        return count_schedule(
            schedule, prices if prices is not None else self.prices, evaluates=self.evaluates, at=self.at,
            total_steps=total_steps if total_steps is not None else self.total_steps, epoch_steps=self.epoch_steps,
        )  # fmt: skip

    def cost(
        self, schedule: ScheduleSettings, prices: Prices | None = None, *, total_steps: int | None = None
    ) -> float:
        """Seconds of these evaluations and checkpoints."""
        prices = prices if prices is not None else self.prices
        return self.due(schedule, prices, total_steps=total_steps).seconds(prices)
