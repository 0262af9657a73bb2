"""A study as screens and reports read it."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Candidate, MemoryBreakdown, TrialResult, TrialStatus
from speedtui.engine.events import DecisionMade, MemoryCalibrated, MemoryPredicted
from speedtui.engine.state.windows import StepWindow


class TrialRow(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of the study and what is known of it."""

    candidate: Candidate
    status: TrialStatus
    result: TrialResult | None = None
    started_at: float | None = None
    """On the run's clock; None while it was never started."""
    probe: str | None = None
    """`memory` or `throughput` while it runs."""
    steps: StepWindow = StepWindow()
    """Of the throughput probe, live; the last ones once finished."""
    batches_done: int = 0
    predicted: MemoryPredicted | None = None

    @property
    def predicted_bytes(self) -> int | None:
        """The peak that was expected before it ran."""
        memory = self.result.memory if self.result is not None else None
        if memory is not None and memory.predicted_bytes is not None:
            return memory.predicted_bytes
        return self.predicted.predicted_bytes if self.predicted is not None else None

    @property
    def breakdown(self) -> MemoryBreakdown | None:
        """What the expected peak consists of."""
        memory = self.result.memory if self.result is not None else None
        if memory is not None and memory.breakdown is not None:
            return memory.breakdown
        return self.predicted.breakdown if self.predicted is not None else None

    @property
    def step_seconds_so_far(self) -> float | None:
        """About what a step of the training takes, from the probe's shorter ones; None before the first."""
        seconds, micro_steps = self.steps.seconds, self.steps.micro_steps
        return seconds * self.candidate.grad_accum_steps / micro_steps if seconds and micro_steps else None


class StudyState(msgspec.Struct, frozen=True, kw_only=True):
    """The candidates and their results."""

    mode: str
    batches: int
    rows: tuple[TrialRow, ...]
    memory_limit_bytes: int | None = None
    budget_seconds: float | None = None
    started_at: float = 0.0
    best: int | None = None
    """The fastest trial so far that fits; of a plan's profiles the one that was planned with, at the end."""
    finished: bool = False
    finish_reason: str = ""
    promoted: int | None = None
    files: dict[str, str] = {}
    calibration: MemoryCalibrated | None = None
    """The last one."""
    decisions: tuple[DecisionMade, ...] = ()

    def row(self, trial: int) -> TrialRow | None:
        """The row of a candidate's id."""
        return next((row for row in self.rows if row.candidate.id == trial), None)

    @property
    def running(self) -> TrialRow | None:
        """The trial in progress."""
        return next((row for row in self.rows if row.status is TrialStatus.RUNNING), None)

    def count(self, status: TrialStatus) -> int:
        """How many rows have this status."""
        return sum(row.status is status for row in self.rows)
