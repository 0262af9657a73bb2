"""How long a run takes under any settings, from one measured curve."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from speedtui.engine.candidate import Curve, Estimate, FigureSource
from speedtui.engine.config.settings import Settings
from speedtui.engine.schedule.costs import RunCosts, StepsTime
from speedtui.engine.timing.estimate import estimate_schedule, time_steps
from speedtui.engine.timing.run_shape import RunShape
from speedtui.engine.timing.workload_shape import shape_of
from speedtui.engine.workload.base import Workload

DataFor = Callable[[Settings], Workload]
"""The workload whose data these settings name; its model is not looked at."""


class Forecast:
    """Estimates for one profile; the micro-steps of a run are added up once, schedules are tried in microseconds."""

    def __init__(
        self, curve: Curve, costs: RunCosts, data_for: DataFor, *, source: FigureSource, eval_rows: int | None
    ) -> None:
        """`eval_rows`: of the evaluation set that `costs` are for; None where there is none."""
        self.curve, self.costs, self.source = curve, costs, source
        self._eval_rows = eval_rows
        self._data_for = data_for
        self._shapes: dict[bytes, RunShape] = {}

    def shape(self, settings: Settings) -> RunShape:
        """The micro-batches of the run."""
        data = msgspec.structs.replace(settings.data, eval_rows=None)  # which changes nothing in the training
        key = msgspec.json.encode((data, settings.train))
        if key not in self._shapes:
            self._shapes[key] = shape_of(self._data_for(settings), settings)
        return self._shapes[key]

    def steps(self, settings: Settings) -> StepsTime:
        """The run's steps, whatever its schedule."""
        return time_steps(self.curve, self.shape(settings))

    def estimate(self, settings: Settings) -> Estimate:
        """The whole run."""
        return estimate_schedule(
            self.steps(settings), self._costs(settings.data.eval_rows), settings.schedule,
            evaluates=bool(self._eval_rows), source=self.source,
        )  # fmt: skip

    def _costs(self, eval_rows: int | None) -> RunCosts:
        """With evaluations on so many rows of those there are."""
        if not self._eval_rows or eval_rows is None or eval_rows >= self._eval_rows:
            return self.costs
        return self.costs.evaluating(eval_rows / self._eval_rows)


def stated_curve(tokens_per_second: float, shape: RunShape) -> Curve:
    """A curve that gives so many non-padding tokens a second over this run; for want of a measured one."""
    per_padded = (1 - shape.padding_fraction) / tokens_per_second
    return Curve(fixed=0.0, per_token=per_padded, per_square=0.0, optimizer_seconds=0.0, spread=0.0, uncertainty=0.0)
