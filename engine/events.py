"""What happened, as plain data; one line of NDJSON each.

`t` is seconds on the run's monotonic clock since the run started. Durations are seconds, sizes bytes,
shares fractions. None means "not measured"; 0 means measured as zero.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from speedtui.engine.candidate import Candidate, MemoryBreakdown, TrialResult
from speedtui.engine.config.window import Window
from speedtui.engine.planned import Advice, Plan

VERSION = 1
"""Of the line format. Fields are only ever added within a version."""

PHASES = ("load", "compile", "data", "h2d", "forward", "backward", "optimizer", "log", "eval", "generate",
          "checkpoint", "gap", "other")  # fmt: skip
"""Exclusive: every second of a run belongs to one of them."""
STEP_PHASES = ("data", "h2d", "forward", "backward", "optimizer", "log", "other")
"""Those that make up a step."""

Job = Literal["tune", "plan", "train", "demo"]
Outcome = Literal["ok", "late", "stopped", "failed", "no_fit"]
Verdict = Literal["measuring", "on_track", "tight", "late"]
Probe = Literal["memory", "throughput"]
Level = Literal["info", "warning", "error"]


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """Something that happened at `t`."""

    t: float


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One accelerator, or the CPU where there is none."""

    index: int
    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int | None


class RunStarted(Event, frozen=True, kw_only=True):
    """A worker took up the run; again after each restart of the worker."""

    run: str
    job: Job
    started_at: float
    """Wall clock, seconds since the epoch, of the run's first start."""
    host: str
    pid: int
    devices: list[Device]
    versions: dict[str, str]
    config: dict[str, Any]
    """The resolved configuration."""
    window: Window | None = None
    restarts: int = 0


class ProgressMade(Event, frozen=True, kw_only=True):
    """Something that takes over a second got further."""

    what: str
    """Such as `tokenizing train.jsonl`."""
    done: int
    total: int | None = None


class ModelLoaded(Event, frozen=True, kw_only=True):
    """The model and data are in memory; it happens once a worker."""

    model: str
    parameters: int
    trainable_parameters: int | None
    seconds: float
    train_rows: int
    eval_rows: int
    longest_tokens: int | None
    mean_tokens: float | None
    cut_rows: int = 0
    """Rows longer than max_length."""
    dropped_rows: int = 0
    """Rows without a token to learn from."""


class SpanCompleted(Event, frozen=True, kw_only=True):
    """A stretch outside the training steps ended."""

    phase: str
    seconds: float
    step: int | None = None


class StepCompleted(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One optimizer step finished, after all of its micro-batches. Fast steps are coalesced: `steps` > 1."""

    step: int
    """1-based count of optimizer steps in this training or probe; the last one of a coalesced line."""
    steps: int = 1
    micro_steps: int
    samples: int
    tokens: int | None = None
    """Non-padding tokens over the effective batch."""
    padding_tokens: int | None = None
    loss: float | None = None
    nonfinite: bool = False
    """The loss was NaN or infinite; it reads null."""
    lr: float | None = None
    seconds: float
    """Wall time on the CPU clock, all of `steps` together."""
    phases: dict[str, float]
    """Seconds by step phase on the CPU clock."""
    device_phases: dict[str, float] | None = None
    """The same on the device's clock, from CUDA events."""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    alloc_retries: int | None = None
    trial: int | None = None
    """The candidate's id while a trial runs; None in training."""
    probe: Probe | None = None


class DeviceSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver said of one device."""

    index: int
    name: str
    utilization: float | None = None
    """A kernel was running, share of the sampling time."""
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: float | None = None
    sm_clock_mhz: int | None = None
    memory_clock_mhz: int | None = None
    throttled: bool | None = None


class HostSample(msgspec.Struct, frozen=True, kw_only=True):
    """What the operating system said."""

    cpu_fraction: float | None = None
    """Of all cores."""
    load_1m: float | None = None
    cores: int | None = None
    rss_bytes: int | None = None
    """The worker and its children."""
    memory_available_bytes: int | None = None
    disk_read_bytes_per_second: float | None = None
    disk_write_bytes_per_second: float | None = None
    disk_free_bytes: int | None = None
    """Where the runs folder is."""


class HardwareSampled(Event, frozen=True, kw_only=True):
    """Once a second, from t = 0."""

    devices: list[DeviceSample]
    host: HostSample


class StudyStarted(Event, frozen=True, kw_only=True):
    """A study with its first list of candidates."""

    mode: str
    """minimal, quick, thorough, auto, plan, configs or knobs."""
    batches: int
    candidates: list[Candidate]
    queued: bool
    """Whether they are to be run at once."""
    memory_limit_bytes: int | None = None
    budget_seconds: float | None = None


class CandidateAdded(Event, frozen=True, kw_only=True):
    """A candidate was added by hand."""

    candidate: Candidate
    queued: bool = False


class CandidateEdited(Event, frozen=True, kw_only=True):
    """A candidate that had no result got other settings."""

    candidate: Candidate


class CandidateRemoved(Event, frozen=True, kw_only=True):
    """A candidate was deleted, its result too."""

    trial: int


class TrialQueued(Event, frozen=True, kw_only=True):
    """A candidate is to be run (again)."""

    trial: int


class TrialStarted(Event, frozen=True, kw_only=True):
    """A candidate became a trial."""

    trial: int


class TrialFinished(Event, frozen=True, kw_only=True):
    """A trial has its result."""

    trial: int
    result: TrialResult


class StudyFinished(Event, frozen=True, kw_only=True):
    """Every queued candidate has a result, or the budget is spent."""

    best: int | None
    """The fastest trial that fits; None where none does."""
    reason: str = ""
    """Why it ended before every candidate was run; empty when all were."""
    files: dict[str, str] = {}
    """trials.json, train.sh, report.json by name."""


class MemoryPredicted(Event, frozen=True, kw_only=True):
    """The peak of a candidate, or of a kind of candidates, is known before anything ran."""

    label: str
    """What it is for, such as `mb8 ga2 r16 +ckpt`."""
    trial: int | None = None
    micro_batch_size: int
    predicted_bytes: int | None
    """None where it cannot be predicted, and `reason` says why."""
    breakdown: MemoryBreakdown | None = None
    limit_bytes: int | None = None
    largest_micro_batch_size: int | None = None
    """The largest that fits with these settings; None where none does or it was not asked for."""
    seconds: float = 0.0
    """What the prediction took; 0 from the cache."""
    reason: str = ""


class MemoryCalibrated(Event, frozen=True, kw_only=True):
    """A probe showed how the real peak compares with the prediction."""

    trial: int
    predicted_bytes: int
    measured_bytes: int
    ratio: float
    """measured / predicted, as used from here on."""
    gap_bytes: int
    """Reserved beyond allocated, on a GPU."""


class DecisionMade(Event, frozen=True, kw_only=True):
    """The search chose, dropped, kept or ended something, and why."""

    kind: Literal["drop", "choose", "keep", "reject", "finish"]
    what: str
    """Such as `mb16 ga1 r16`."""
    reason: str
    """In words with figures: `predicted 26.1 GiB > 23.2 GiB free`."""
    trial: int | None = None


class PlanMade(Event, frozen=True, kw_only=True):
    """A plan is complete."""

    plan: Plan


class AdviceGiven(Event, frozen=True, kw_only=True):
    """Something should be changed."""

    advice: Advice


class TrialPromoted(Event, frozen=True, kw_only=True):
    """A trial's settings became those of the next training run."""

    trial: int
    config_file: str


class TrainingStarted(Event, frozen=True, kw_only=True):
    """The training proper began."""

    total_steps: int
    epochs: float
    micro_batch_size: int
    grad_accum_steps: int
    label: str
    trial: int | None = None
    """The candidate it was promoted from."""
    first_step: int = 0
    """Steps already done in an earlier worker."""


class EvaluationCompleted(Event, frozen=True, kw_only=True):
    """The model was evaluated."""

    step: int
    loss: float | None
    seconds: float
    rows: int


class CheckpointSaved(Event, frozen=True, kw_only=True):
    """A checkpoint or the final model is on disk."""

    step: int
    path: str
    bytes: int
    seconds: float
    final: bool = False


class EtaUpdated(Event, frozen=True, kw_only=True):
    """When the training will be done, as far as can be said now."""

    p50_seconds: float | None
    """From now to the finish."""
    p90_seconds: float | None
    verdict: Verdict | None
    """None where there is no window."""
    spare_seconds: float | None = None
    """From the P50 finish to the latest safe finish."""
    terms: dict[str, float] = {}
    """Seconds still to come: steps, evals, saves, final."""


class TrainingFinished(Event, frozen=True, kw_only=True):
    """The training proper ended."""

    steps: int
    seconds: float
    first_loss: float | None
    """Mean over the first steps, as many as `last_loss` has."""
    last_loss: float | None
    model_path: str | None


class CommandReceived(Event, frozen=True, kw_only=True):
    """The worker read a command."""

    id: str
    command: str


class CommandApplied(Event, frozen=True, kw_only=True):
    """A command took effect."""

    id: str
    command: str
    detail: str = ""


class CommandRefused(Event, frozen=True, kw_only=True):
    """A command cannot be followed, and why."""

    id: str
    command: str
    reason: str


class Paused(Event, frozen=True, kw_only=True):
    """The job waits at a step boundary."""


class Resumed(Event, frozen=True, kw_only=True):
    """The job goes on."""


class WorkerLost(Event, frozen=True, kw_only=True):
    """The worker process died without finishing the run; written by the session that saw it."""

    reason: str
    """Such as `killed by SIGKILL`."""
    restarting: bool


class Notice(Event, frozen=True, kw_only=True):
    """Something a person should know."""

    level: Level
    text: str
    hint: str = ""


class EventsDropped(Event, frozen=True, kw_only=True):
    """The log could not keep up or could not be written; this many events are missing here."""

    count: int


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """Where the wall time of the run went."""

    wall: float
    phases: dict[str, float]
    unaccounted: float
    """wall - sum of phases."""


class RunFinished(Event, frozen=True, kw_only=True):
    """The run is over."""

    outcome: Outcome
    exit_code: int
    reason: str = ""
    next: str = ""
    """What to do now, in one line."""
    books: Books | None = None


AnyEvent = (
    RunStarted | ProgressMade | ModelLoaded | SpanCompleted | StepCompleted | HardwareSampled | StudyStarted
    | CandidateAdded | CandidateEdited | CandidateRemoved | TrialQueued | TrialStarted | TrialFinished
    | MemoryPredicted | MemoryCalibrated | DecisionMade | PlanMade | AdviceGiven
    | StudyFinished | TrialPromoted | TrainingStarted | EvaluationCompleted | CheckpointSaved | EtaUpdated
    | TrainingFinished | CommandReceived | CommandApplied | CommandRefused | Paused | Resumed | WorkerLost
    | Notice | EventsDropped | RunFinished
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)
_VERSION_PREFIX = b'{"v":%d,' % VERSION


def encode(event: AnyEvent) -> bytes:
    """One line of the log, its newline included."""
    return _VERSION_PREFIX + _encoder.encode(event)[1:] + b"\n"


def decode(line: bytes) -> AnyEvent | None:
    """The event of one line; None for a type that this version does not know.

    Raises:
        ValueError: the line is not an event, for instance torn.
    """
    try:
        event: AnyEvent = _decoder.decode(line)
    except msgspec.ValidationError as error:
        if "Invalid value" in str(error) and "`$.type`" in str(error):
            return None
        raise ValueError(f"not an event: {error}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"not an event: {error}") from None
    return event
