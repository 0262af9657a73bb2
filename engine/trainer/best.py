"""The best evaluation so far, and for how long there has been none better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speedtui.engine.schedule.rules import LOSS


class BestSoFar:
    """Judges evaluations by the loss, the lower the better, or by a metric, the higher the better."""

    def __init__(self, by: str = LOSS) -> None:
        self._by = by
        self.step: int | None = None
        """The step of the best one; None before the first."""
        self.value: float | None = None
        self.since = 0
        """Evaluations in a row that were no better."""

    def take(self, step: int, loss: float | None, metrics: Mapping[str, float], *, nonfinite: bool = False) -> bool:
        """Whether this evaluation is the best so far; one without the figure to judge it by is none at all.

        `nonfinite`: its loss was NaN or infinite; it is no better than any other, whatever its metrics say.
        """
        if nonfinite:
            self.since += 1
            return False
        value = loss if self._by == LOSS else metrics.get(self._by)
        if value is None:
            return False
        if self.value is None or (value < self.value if self._by == LOSS else value > self.value):
            self.step, self.value, self.since = step, value, 0
            return True
        self.since += 1
        return False

    def judge_by(self, by: str) -> None:
        """Another figure counts from now on; what was the best by the old one is forgotten."""
        if by != self._by:
            self._by, self.step, self.value, self.since = by, None, None, 0

    def state(self) -> dict[str, Any]:
        """What `restore` takes, for a checkpoint."""
        return {"by": self._by, "step": self.step, "value": self.value, "since": self.since}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from there, unless it was judged by something else."""
        if state.get("by") == self._by:
            self.step, self.value, self.since = state["step"], state["value"], state["since"]
