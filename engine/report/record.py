"""What a training came to, as plain data: text, JSON and HTML are made from it."""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.advise.costs import Cost
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.window import Window
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.events import (
    CheckpointSaved,
    DeviceBusyMeasured,
    EndReason,
    EvaluationCompleted,
    ModelLoaded,
    NonFiniteFound,
    Outcome,
)
from speedtui.engine.report.books import BooksRow
from speedtui.engine.state import Totals
from speedtui.engine.state.series import SeriesPoint
from speedtui.engine.state.wall import Moves
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
    """A training that is over, was killed or goes on. Seconds; None is not known."""

    label: str
    profile: str | None
    trial: int | None
    steps: int
    total_steps: int
    end_reason: EndReason | None
    """None where the training came to no end of its own: it was stopped, failed, was killed, or goes on."""
    outcome: Outcome | None
    """Of the run; None where it was killed or goes on."""
    started_at: float
    """Wall clock of the run's start, seconds since the epoch."""
    moves: Moves = Moves()
    """Of the wall clock against the run's time."""
    ended_at: float
    """Wall clock of the saved model, or of the last event."""
    training_seconds: float | None
    """Of the last worker, from its first step on."""
    first_loss: float | None
    last_loss: float | None
    tokens_per_second: float | None
    """Non-padding tokens in the time of the steps."""
    mfu: float | None
    """Share of the device's peak that the model's arithmetic came to in the time of the steps."""
    flops: ModelFlops | None
    device_busy: DeviceBusyMeasured | None
    """The last profile of some of its steps."""
    window: Window | None
    verdict: FinalVerdict | None
    """None without a window, or without an end."""
    comparison: EstimateComparison
    books: tuple[BooksRow, ...]
    wall_seconds: float
    """What the books are of."""
    costs: tuple[Cost, ...]
    """The steps and the three largest besides, the largest first."""
    loaded: ModelLoaded | None = None
    """Model and data; None where they were never loaded."""
    steps_done: Totals
    """Those done twice included."""
    best: EvaluationCompleted | None
    evaluations: tuple[EvaluationCompleted, ...]
    full_evaluations: Totals
    loss_evaluations: Totals
    checkpoints: tuple[CheckpointSaved, ...]
    saves: Totals
    """Checkpoints and the final model."""
    writes: Totals
    """Of those, the writing to files."""
    failed_saves: int
    gaps: Totals
    """Between epochs."""
    first_batches_seconds: float
    """Waiting for the first micro-batches of all epochs."""
    stalls: Totals
    restarts: int
    away_seconds: float
    paused_seconds: float
    nonfinite_steps: int
    """Whose loss was NaN or infinite."""
    nonfinite_gradients: int
    """Steps whose gradient norm was, as far as it was computed."""
    skipped_steps: int
    """Steps that the scaler of float16's gradients left out."""
    nonfinite: NonFiniteFound | None
    """What was NaN or infinite at the end; None where all was finite again."""
    changed: dict[str, Scalar]
    """Settings that were changed while it went on."""
    losses: tuple[SeriesPoint, ...]
    step_history: tuple[SeriesPoint, ...]
    model_path: str | None

    @property
    def elapsed_seconds(self) -> float:
        """From the start to the end, however the clock was set in between."""
        return self.ended_at - self.started_at - (self.moves.seconds - self.moves.idle_seconds)

    def wall(self, t: float) -> float:
        """Wall clock at the run's time `t`, seconds since the epoch."""
        return self.started_at + t + self.moves.at(t)

    @property
    def spare_seconds(self) -> float | None:
        """From the end to the deadline; negative where it was later."""
        return None if self.window is None else self.window.deadline - self.ended_at
