"""The immutable picture of a run that screens, reports and tests read."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.window import Window
from speedtui.engine.events import (
    Books,
    Device,
    DeviceBusyMeasured,
    HardwareSampled,
    ModelLoaded,
    Outcome,
    ProgressMade,
    Stalled,
    WorkerSuspended,
)
from speedtui.engine.plan_types import Advice, Plan
from speedtui.engine.state.passed_over import PassedOver
from speedtui.engine.state.series import BucketMeans
from speedtui.engine.state.study_state import StudyState
from speedtui.engine.state.training_state import TrainingState
from speedtui.engine.state.wall import Moves
from speedtui.engine.state.windows import StepWindow, Totals


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
    UNKNOWN = "unknown"
    """Whether a worker lives cannot be told from here; how far the run is is in its log."""

    @property
    def busy(self) -> bool:
        """Whether leaving now would interrupt something."""
        return self not in (RunStatus.IDLE, RunStatus.FINISHED, RunStatus.LOST)


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line for a person, made from an event."""

    t: float
    level: str  # info, warning or error
    text: str
    trial: int | None = None
    """The candidate that it is about."""
    kind: str = ""
    """What it is about: run, step, eval, checkpoint, training, study, trial, memory, settings, command, mark, stall,
    plan, advice, notice or log."""


FULL_DISK_BYTES = 64 << 10
"""Free space that no checkpoint and not a second's lines of the log fit into."""


class HardwareHistory(msgspec.Struct, frozen=True, kw_only=True):
    """One device's last ten minutes, oldest first, at most 120 points."""

    utilization: tuple[float | None, ...] = ()
    memory_fraction: tuple[float | None, ...] = ()
    minute_utilization: BucketMeans = BucketMeans()
    minute_memory_fraction: BucketMeans = BucketMeans()


MICRO_BATCH = "train.micro_batch_size"


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of a run at `t`."""

    run: str = ""
    job: str = ""
    status: RunStatus = RunStatus.STARTING
    t: float = 0.0
    """Of the last event."""
    started_at: float = 0.0
    """Wall clock of t = 0, seconds since the epoch."""
    moves: Moves = Moves()
    """Of the wall clock against `t` since then."""
    host: str = ""
    pid: int | None = None
    restarts: int = 0
    restarting: bool = False
    """The worker is lost, and the session that owns the run starts another one."""
    devices: tuple[Device, ...] = ()
    versions: dict[str, str] = {}
    config: dict[str, dict[str, Any]] = {}
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
    suspended: WorkerSuspended | None = None
    """The worker's process is stopped; None once it goes on."""
    stalls: tuple[Stalled, ...] = ()
    """The last 16."""
    stall_totals: Totals = Totals()
    """From the last sign of life to the next, of all of them."""
    pending_commands: tuple[str, ...] = ()
    """Names of those that the worker has read and not answered yet."""
    dropped_events: int = 0
    full_disk_bytes: int | None = None
    """Free where the run is, as it is seen from here, while that is nothing or next to it: its log cannot tell."""
    passed_over: PassedOver = PassedOver()
    """Of the log, as far as it was read."""
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
    def live_busy(self) -> DeviceBusyMeasured | None:
        """The last profile of the steps that `live_steps` shows; None where none was made."""
        training = self.training
        return training.device_busy if training is not None and training.steps.count else None

    @property
    def live_mfu(self) -> float | None:
        """Of the steps that `live_steps` shows; None where it is not known."""
        training = self.training
        return training.recent_mfu if training is not None and training.steps.count else None

    @property
    def schedule(self) -> dict[str, Any]:
        """The settings below `schedule` as they are now: the configuration's, what is laid over them."""
        laid = {path.partition(".")[2]: value for path, value in self.laid_over.items() if path.startswith("schedule.")}
        return {**self.config.get("schedule", {}), **laid}

    @property
    def laid_over(self) -> dict[str, Scalar]:
        """Settings by path in which a training differs from `config`: those of the trial of this run that it trains,
        then what was changed since. Empty without a training."""
        training = self.training
        if training is None:
            return {}
        trial = self.study.row(training.trial) if self.study is not None and training.trial is not None else None
        promoted = {**trial.candidate.values, MICRO_BATCH: training.micro_batch_size} if trial is not None else {}
        return {**promoted, **training.changed}

    @property
    def now(self) -> float:
        """Wall clock of the last event."""
        return self.wall(self.t)

    def wall(self, t: float) -> float:
        """What the wall clock showed at the run's time `t`; seconds since the epoch."""
        return self.started_at + t + self.moves.at(t)

    def ahead(self, t: float, seconds: float) -> float:
        """What the wall clock will show so many seconds of work after the run's time `t`, as it goes now."""
        return self.started_at + t + seconds + self.moves.seconds
