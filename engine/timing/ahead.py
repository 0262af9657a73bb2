"""What is still to come of a training, and what an estimate had expected of it."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.schedule.count import NOTHING, Due, Prices, count_schedule


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """What is still to come, in seconds."""

    steps: float
    evals: float
    saves: float
    final: float
    deviation: float
    """Standard deviation of their sum."""
    due: Due
    """How many evaluations and checkpoints that is, the one in progress left out."""

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.steps + self.evals + self.saves + self.final


def step_guess(estimate: Estimate | None) -> float | None:
    if estimate is None or not estimate.total_steps:
        return None
    return estimate.terms.get("steps", estimate.running_seconds) / estimate.total_steps


def planned_due(estimate: Estimate | None, schedule: ScheduleSettings, epoch_steps: int, *, evaluates: bool) -> Due:
    """The evaluations and checkpoints that an estimate of the whole run is of."""
    if estimate is None:
        return NOTHING
    prices = Prices(step=step_guess(estimate) or 0.0)
    total = estimate.total_steps
    return count_schedule(schedule, prices, total_steps=total, epoch_steps=epoch_steps, evaluates=evaluates)
