"""A candidate: a set of settings to be tried, and what a trial of it measured."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

from speedtui.engine.config.settings import Scalar
from speedtui.engine.efficiency import DeviceConditions, ModelFlops


class TrialStatus(StrEnum):
    """How far a candidate has come; the last five are results."""

    WAITING = "waiting"
    """Listed, not to be run until somebody says so."""
    QUEUED = "queued"
    RUNNING = "running"
    NOT_RUN = "not_run"
    """It waited or was queued when its run ended."""
    OK = "ok"
    OUT_OF_MEMORY = "out_of_memory"
    FAILED = "failed"
    PRUNED = "pruned"
    TIMED_OUT = "timed_out"

    @property
    def finished(self) -> bool:
        """Whether the trial has a result."""
        return self not in (TrialStatus.WAITING, TrialStatus.QUEUED, TrialStatus.RUNNING, TrialStatus.NOT_RUN)


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration proposed: the settings that differ from the run's configuration."""

    id: int
    """0-based, unique in its study, never used again after a removal."""
    values: dict[str, Scalar]
    """Settings by full path."""
    micro_batch_size: int
    grad_accum_steps: int
    """Micro-batches an optimizer step; effective batch = micro x accumulation."""
    label: str
    """Short name for a table row, such as `mb4 ga4 r16 +ckpt`."""

    @property
    def effective_batch_size(self) -> int:
        """Sequences an optimizer step sees."""
        return self.micro_batch_size * self.grad_accum_steps


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial measured. None where it was not measured."""

    batches: int
    """Micro-batches measured after warm-up."""
    warmup_batches: int
    """Micro-batches dropped before them."""
    micro_step_seconds: float
    """Mean over representative micro-batches, waiting for the loader included."""
    optimizer_seconds: float
    """Median of the optimizer's share of a step."""
    step_seconds: float
    """accumulation x micro_step_seconds + optimizer_seconds."""
    step_seconds_low: float
    """Lower end of the 95 % interval of step_seconds."""
    step_seconds_high: float
    samples_per_second: float
    tokens_per_second: float
    """Non-padding tokens."""
    padding_fraction: float
    """Share of the padded tokens that is padding."""
    loss: float | None
    """Of the last step measured."""
    phases: dict[str, float]
    """Seconds of a mean step by phase."""
    busy_phases: dict[str, float] | None = None
    """Of those, seconds in which the device computed or copied, by a profile of some steps more; None without one."""
    flops: ModelFlops | None = None
    """None where they were not counted."""

    @property
    def idle_fraction(self) -> float | None:
        """Share of a step in which the device did nothing."""
        whole = sum(self.phases.values())
        if self.busy_phases is None or not whole:
            return None
        return max(0.0, 1 - sum(self.busy_phases.values()) / whole)

    @property
    def mfu(self) -> float | None:
        """Share of the device's peak that the model's arithmetic came to; see `ModelFlops`."""
        return None if self.flops is None else self.flops.utilization(self.tokens_per_second, self.samples_per_second)


class MemoryBreakdown(msgspec.Struct, frozen=True, kw_only=True):
    """What the predicted peak consists of, at the moment of the peak; bytes that add up to it."""

    weights_bytes: int
    """Parameters and buffers, the adapter's included."""
    gradients_bytes: int
    optimizer_bytes: int
    activations_bytes: int
    """Kept for the backward pass, and what operations hold for a moment."""
    logits_bytes: int
    """The model's last layer over the vocabulary, its loss and their gradients."""

    @property
    def total_bytes(self) -> int:
        """The peak."""
        return (
            self.weights_bytes
            + self.gradients_bytes
            + self.optimizer_bytes
            + self.activations_bytes
            + self.logits_bytes
        )


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Peaks of the memory probe: the longest sample duplicated, two optimizer steps; then an evaluation batch."""

    peak_allocated_bytes: int | None = None
    """CUDA: allocator high-water mark. CPU: bytes of live tensor storages."""
    peak_reserved_bytes: int | None = None
    """CUDA only."""
    peak_rss_bytes: int | None = None
    """CPU only: the process, Python and libraries included."""
    predicted_bytes: int | None = None
    """The peak expected before the probe, calibrated where probes had been made."""
    breakdown: MemoryBreakdown | None = None
    """Of the prediction, before calibration."""
    limit_bytes: int | None = None
    """What there was to use: the device's memory or `search.memory_limit`."""
    longest_tokens: int | None = None
    """Of the sample that the probe was made of; source and target together."""
    evaluation_peak_bytes: int | None = None
    """Of the longest rows' evaluation batch, counted as the other peaks are; None where nothing is evaluated."""
    evaluation_rows: int | None = None
    """Rows of an evaluation batch: as asked for, or halved until it fitted."""
    generation_peak_bytes: int | None = None
    """CUDA only: reserved while answers were written to see what they take, the longest prompts among them. Longer
    answers than were written then keep more. None too where an earlier trial of the same kind has written them."""
    generation_rows: int | None = None
    """Rows of such a batch, likewise."""

    @property
    def training_peak_bytes(self) -> int | None:
        """Of the steps alone, which is what is predicted."""
        return self.peak_reserved_bytes if self.peak_reserved_bytes is not None else self.peak_allocated_bytes

    @property
    def peak_bytes(self) -> int | None:
        """The figure to hold against the limit, evaluations included."""
        training = self.training_peak_bytes
        return None if training is None else max(training, self.evaluation_peak_bytes or 0)

    @property
    def headroom_fraction(self) -> float | None:
        """Share of the limit that stayed free at the peak."""
        if self.peak_bytes is None or not self.limit_bytes:
            return None
        return 1 - self.peak_bytes / self.limit_bytes


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """One micro-step that a curve was fitted to."""

    micro_batch_size: int
    tokens: int
    """Padded length of its longest sample."""
    seconds: float


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds of a micro-step: fixed + per_token x batch x length + per_square x batch x length^2."""

    fixed: float
    per_token: float
    per_square: float
    optimizer_seconds: float
    """Of a step, besides its micro-steps."""
    spread: float
    """Relative standard deviation of a micro-step around the curve."""
    uncertainty: float
    """Relative standard deviation of the curve itself over the lengths it is used for."""
    points: tuple[CurvePoint, ...] = ()

    def seconds(self, micro_batch_size: float, tokens: float) -> float:
        """Of a micro-step with rows padded to so many tokens."""
        size = micro_batch_size * tokens
        return self.fixed + self.per_token * size + self.per_square * size * tokens


FigureSource = Literal["measured", "history", "model"]
"""Where a figure comes from: probes of this run, earlier runs, or a prediction without either."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """How long a whole run takes, from its start to the saved model."""

    p50_seconds: float
    p90_seconds: float
    terms: dict[str, float]
    """P50 seconds by what takes them: load, compile, steps, evals, generate, metric, saves, final; and rehearsal, where
    a part of an evaluation comes before the first step. They make P50."""
    total_steps: int
    evals: int
    saves: int
    """Checkpoints before the final save."""
    source: FigureSource = "measured"
    unmeasured: tuple[str, ...] = ()
    """What happens in the run and is not in these figures, since nobody measured it: evaluations, answers, the metric,
    checkpoints. With any of them the run takes longer than this."""

    @property
    def running_seconds(self) -> float:
        """From the first step to the last, at P50."""
        return self.p50_seconds - sum(self.terms.get(name, 0.0) for name in ("load", "rehearsal", "final"))

    def without_loading(self) -> Estimate:
        """The same where the model is in memory already."""
        load = self.terms.get("load", 0.0)
        return msgspec.structs.replace(
            self, p50_seconds=self.p50_seconds - load, p90_seconds=self.p90_seconds - load,
            terms={**self.terms, "load": 0.0},
        )  # fmt: skip


class TrialResult(msgspec.Struct, frozen=True, kw_only=True):
    """A finished trial."""

    status: TrialStatus
    reason: str = ""
    """Why it is not ok, in one line; empty for an ok trial."""
    seconds: float
    """Wall time of the whole trial, probes and restoring included."""
    measurement: Measurement | None = None
    memory: Memory | None = None
    full_run_seconds: float | None = None
    """P50 of `estimate`."""
    estimate: Estimate | None = None
    """Of the configured run with these settings."""
    curve: Curve | None = None
    """Time against length, for another epoch count, order or dataset."""
    base_weights_unchanged: bool | None = None
    """What the state guard found; None where the trial never touched the weights."""
    conditions: DeviceConditions | None = None
    """While its steps were measured; None on a CPU, and where no reading fell there."""
