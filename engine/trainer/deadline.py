"""Whether there is time for what comes next, so that the model is complete before the window's safe end."""

from __future__ import annotations

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext
from speedtui.engine.timing.eta import Eta
from speedtui.engine.units import format_span

SLOW = 0.95
"""Quantile of the recent step times that the next step is taken to need."""


class Deadline:
    """Keeps the time of the last checkpoint and of the final model, by what they have cost so far."""

    def __init__(self, context: JobContext, eta: Eta) -> None:
        self._context = context
        self._eta = eta
        self._window = context.order.window
        self._left_out = 0

    @property
    def left_seconds(self) -> float | None:
        """From now until saving has to begin; None without a window."""
        if self._window is None:
            return None
        now = self._context.clock.wall(self._context.t)
        return self._window.safe_until - now - self._eta.end_seconds()

    def reached(self) -> bool:
        """Whether another step could be one too many."""
        left = self.left_seconds
        return left is not None and left <= (self._eta.step_seconds(SLOW) or 0.0)

    def affordable(self, kind: e.EvaluationKind) -> e.EvaluationKind | None:
        """The evaluation that there is time for: this one, the loss alone, or none."""
        left = self.left_seconds
        if left is None or self._eta.eval_seconds(kind) <= left:
            return kind
        cheaper: e.EvaluationKind | None = "loss" if kind == "full" and self._eta.eval_seconds("loss") <= left else None
        self._left_out += 1
        if self._left_out == 1:
            needed = format_span(self._eta.eval_seconds(kind))
            instead = "the loss alone instead" if cheaper else "left out"
            self._context.notice(f"no time for an evaluation of about {needed} before the deadline: {instead}")
        return cheaper
