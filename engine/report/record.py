"""What a training came to, as plain data: text, JSON and HTML are made from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.advise.costs import Cost
from speedtui.engine.candidate import Estimate
from speedtui.engine.events import (
    EndReason,
    EvaluationCompleted,
)
from speedtui.engine.report.books import BooksRow
from speedtui.engine.state import RunState, TrainingState
from speedtui.engine.timing.verdict import FinalVerdict

GOAL = (0.95, 1.05)
"""Of estimate / actual: what the estimate aims at."""
GOOD = (0.85, 1.15)
"""What is called good."""

AccuracyGrade = Literal["goal", "good", "off"]


class EstimateComparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was expected beside what it took."""

    estimate: Estimate | None = None
    """Made before the first step."""
    actual_seconds: float | None = None
    """Of what the estimate is of: from the start of the run, or of the demo's training, to the saved model."""
    accuracy: float | None = None
    """estimate / actual; None where the two are not of the same thing."""
    note: str = ""
    """Why there is no accuracy, or what it should be read with."""
    running_step: int | None = None
    """Of the first estimate that the training made of itself."""
    running_seconds: float | None = None
    """What it then said of the whole."""

    @property
    def judgement(self) -> AccuracyGrade | None:
        """Whether the estimate was as near as it should be."""
        if self.accuracy is None:
            return None
        if GOAL[0] <= self.accuracy <= GOAL[1]:
            return "goal"
        return "good" if GOOD[0] <= self.accuracy <= GOOD[1] else "off"


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True):
    """A training that is over, was killed or goes on: its state, and what follows from it. None is not known."""

    state: RunState
    training: TrainingState
    """Of that state."""
    profile: str | None
    steps: int
    total_steps: int
    end_reason: EndReason | None
    """None where the training came to no end of its own: it was stopped, failed, was killed, or goes on."""
    ended_at: float
    """Wall clock of the saved model, or of the last event, seconds since the epoch."""
    training_seconds: float | None
    """Of the last worker, from its first step on."""
    first_loss: float | None
    last_loss: float | None
    tokens_per_second: float | None
    """Non-padding tokens in the time of the steps."""
    verdict: FinalVerdict | None
    """None without a window, or without an end."""
    comparison: EstimateComparison
    books: tuple[BooksRow, ...]
    wall_seconds: float
    """What the books are of."""
    costs: tuple[Cost, ...]
    """The steps and the three largest besides, the largest first."""
    best: EvaluationCompleted | None
    first_batches_seconds: float
    """Waiting for the first micro-batches of all epochs."""
    away_seconds: float
    paused_seconds: float
    model_path: str | None

    @property
    def elapsed_seconds(self) -> float:
        """From the start to the end, however the clock was set in between."""
        return self.ended_at - self.state.started_at - (self.state.moves.seconds - self.state.moves.idle_seconds)

    @property
    def spare_seconds(self) -> float | None:
        """From the end to the deadline; negative where it was later."""
        return None if self.state.window is None else self.state.window.deadline - self.ended_at
