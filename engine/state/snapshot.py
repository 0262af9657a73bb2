"""The immutable picture of a run that screens, reports and tests read."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from speedtui.engine.candidate import Candidate, MemoryBreakdown, TrialResult, TrialStatus
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.window import Window
from speedtui.engine.events import (
    Books,
    CheckpointFailed,
    CheckpointSaved,
    DecisionMade,
    Device,
    EtaUpdated,
    EvaluationCompleted,
    EvaluationRehearsed,
    HardwareSampled,
    MemoryCalibrated,
    MemoryPredicted,
    ModelLoaded,
    NonFiniteFound,
    Outcome,
    ProgressMade,
    Stalled,
    TrainingFinished,
)
from speedtui.engine.planned import Advice, Plan
from speedtui.engine.state.series import Course, Point
from speedtui.engine.state.totals import Totals


class RunStatus(StrEnum):
    """What the run is doing."""

    STARTING = "starting"
    LOADING = "loading"
    IDLE = "idle"
    """A study without anything queued: the worker holds the model and waits."""
    TUNING = "tuning"
    TRAINING = "training"
    PAUSED = "paused"
    LOST = "lost"
    """The worker died; a session may restart it."""
    FINISHED = "finished"

    @property
    def busy(self) -> bool:
        """Whether leaving now would interrupt something."""
        return self not in (RunStatus.IDLE, RunStatus.FINISHED, RunStatus.LOST)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Never changes once made."""


class Recent(Snapshot, frozen=True, kw_only=True):
    """One quantity over the last minutes."""

    ten_minutes: Course = Course()
    minute: Course = Course()


class StepWindow(Snapshot, frozen=True, kw_only=True):
    """The recent steps of a training or a probe."""

    count: int = 0
    """Steps it covers, at most 50."""
    seconds: float | None = None
    """Median step time."""
    micro_steps: float | None = None
    """Micro-steps a step; a probe makes fewer than the training."""
    spread_seconds: float | None = None
    """1.4826 x median absolute deviation."""
    tokens_per_second: float | None = None
    samples_per_second: float | None = None
    padding_fraction: float | None = None
    phases: dict[str, float] = {}
    """Mean seconds a step by phase."""
    phases_p50: dict[str, float] = {}
    phases_p95: dict[str, float] = {}
    phases_last: dict[str, float] = {}
    recent_seconds: tuple[float, ...] = ()
    """Step times, oldest first."""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    on_device_clock: bool = False
    """The phases are device time rather than launch time."""


class TrialRow(Snapshot, frozen=True, kw_only=True):
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


class StudyState(Snapshot, frozen=True, kw_only=True):
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


class TrainingState(Snapshot, frozen=True, kw_only=True):
    """The training proper. Lists are bounded however long it lasts; totals are exact, steps done twice included."""

    total_steps: int
    epochs: float
    label: str
    micro_batch_size: int
    grad_accum_steps: int
    started_at: float
    """On the run's clock, of its first start."""
    trial: int | None = None
    """The candidate it was promoted from."""
    resumes: int = 0
    """Times it went on from an earlier step."""
    step: int = 0
    loss: float | None = None
    smoothed_loss: float | None = None
    """Exponential mean over about 20 steps."""
    nonfinite_steps: int = 0
    """Steps whose loss was NaN or infinite."""
    nonfinite_gradients: int = 0
    """Steps whose gradient norm was, as far as it was computed."""
    nonfinite: NonFiniteFound | None = None
    """What is NaN or infinite now, as told last; None while all is finite."""
    tokens: int | None = None
    """Non-padding, of all steps; None where a step did not count its own."""
    first_step: int = 0
    """Steps that were done before the present start."""
    losses: tuple[Point, ...] = ()
    """(step, mean loss), at most 512 points, as is `step_history`."""
    recent_losses: Recent = Recent()
    evaluations: tuple[EvaluationCompleted, ...] = ()
    """At most 256 of each kind, spread over the run, the last one and the best among them."""
    full_evaluations: Totals = Totals()
    loss_evaluations: Totals = Totals()
    evaluation_phases: dict[str, float] = {}
    """Seconds in evaluations by phase: eval, generate, metric."""
    best: EvaluationCompleted | None = None
    """The best so far, as the training judged it; None where no evaluation was."""
    rehearsal: EvaluationRehearsed | None = None
    checkpoints: tuple[CheckpointSaved, ...] = ()
    """The last 128; here as in the totals the final model is one of them."""
    checkpoint_totals: Totals = Totals()
    write_totals: Totals = Totals()
    """Of those, the writing to files, where it was measured."""
    checkpoint_failures: int = 0
    checkpoint_failure: CheckpointFailed | None = None
    """None once one was saved."""
    steps: StepWindow = StepWindow()
    step_history: tuple[Point, ...] = ()
    """(step, mean step seconds)"""
    phase_courses: dict[str, Recent] = {}
    """Mean seconds a step by phase."""
    step_totals: Totals = Totals()
    """Of all steps, in their own wall time."""
    learning_rate: float | None = None
    eta: EtaUpdated | None = None
    first_eta: EtaUpdated | None = None
    """The first with a finish after 20 steps of the present start, to be held against the end."""
    first_eta_step: int = 0
    finished: TrainingFinished | None = None
    levers: tuple[Advice, ...] = ()
    """What would bring it nearer to its deadline, the largest gain first."""
    changed: dict[str, Scalar] = {}
    """Settings by path that were changed while it went on."""
    gaps: tuple[float, ...] = ()
    """Seconds between the steps of two epochs, the last 100."""
    gap_totals: Totals = Totals()
    loss_ends: tuple[tuple[tuple[int, float], ...], tuple[tuple[int, float], ...]] = ((), ())
    """(step, loss) of the first lines and of the last, of all workers: see `Losses`."""
    trained_seconds: float = 0.0
    """From the start of its training to the last that was heard of it, of each worker, added up."""
    steps_again: int = 0
    """Steps that were lost with a worker and made, or to be made, a second time."""

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.step / self.total_steps if self.total_steps else 0.0


class LogLine(Snapshot, frozen=True, kw_only=True):
    """One line for a person, made from an event."""

    t: float
    level: str  # info, warning or error
    text: str
    trial: int | None = None
    """The candidate that it is about."""
    kind: str = ""
    """What it is about: run, step, eval, checkpoint, training, study, trial, memory, settings, command, mark, stall,
    plan, advice or notice."""


class HardwareHistory(Snapshot, frozen=True, kw_only=True):
    """One device's last ten minutes, oldest first, at most 120 points."""

    utilization: tuple[float | None, ...] = ()
    memory_fraction: tuple[float | None, ...] = ()
    minute_utilization: Course = Course()
    minute_memory_fraction: Course = Course()


class RunState(Snapshot, frozen=True, kw_only=True):
    """Everything known of a run at `t`."""

    run: str = ""
    job: str = ""
    status: RunStatus = RunStatus.STARTING
    t: float = 0.0
    """Of the last event."""
    started_at: float = 0.0
    """Wall clock of t = 0, seconds since the epoch."""
    host: str = ""
    pid: int | None = None
    restarts: int = 0
    restarting: bool = False
    """The worker is lost, and the session that owns the run starts another one."""
    devices: tuple[Device, ...] = ()
    versions: dict[str, str] = {}
    config: dict[str, Any] = {}
    window: Window | None = None
    model: ModelLoaded | None = None
    progress: ProgressMade | None = None
    """What is being prepared; None once it is done."""
    study: StudyState | None = None
    training: TrainingState | None = None
    plan: Plan | None = None
    advice: tuple[Advice, ...] = ()
    hardware: HardwareSampled | None = None
    hardware_history: tuple[HardwareHistory, ...] = ()
    log: tuple[LogLine, ...] = ()
    """The last 500 lines."""
    books: Books | None = None
    """Where the time went: the last entry of a run that goes on, the final one of a run that is over."""
    stalled: Stalled | None = None
    """Nothing has happened since; None once something has."""
    stalls: tuple[Stalled, ...] = ()
    """The last 16."""
    stall_totals: Totals = Totals()
    """From the last sign of life to the next, of all of them."""
    pending_commands: tuple[str, ...] = ()
    """Names of those that the worker has read and not answered yet."""
    dropped_events: int = 0
    outcome: Outcome | None = None
    exit_code: int | None = None
    reason: str = ""
    next: str = ""

    @property
    def live_steps(self) -> StepWindow | None:
        """The steps to show now: the training's, else the running trial's."""
        if self.training is not None and self.training.steps.count:
            return self.training.steps
        running = self.study.running if self.study is not None else None
        return running.steps if running is not None else None

    @property
    def schedule(self) -> dict[str, Any]:
        """The settings below `schedule` as they are now: the configuration's, what was changed since laid over."""
        changed = self.training.changed if self.training is not None else {}
        section = {path.partition(".")[2]: value for path, value in changed.items() if path.startswith("schedule.")}
        return {**self.config.get("schedule", {}), **section}

    @property
    def now(self) -> float:
        """Wall clock of the last event."""
        return self.started_at + self.t
