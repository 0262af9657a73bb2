"""What earlier runs measured and how good their estimates were, as plain data."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Curve
from speedtui.engine.config.settings import Scalar


class PastMeasurement(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration measured on a device. None where a figure was not measured."""

    at: float
    """Wall clock, seconds since the epoch."""
    device: str
    """Its name, as the driver or the operating system gives it."""
    model: str
    """From `shape_key`."""
    versions: str
    """From `versions_key`."""
    profile: str
    """Or the label of a trial that belongs to none."""
    settings: dict[str, Scalar | None]
    """From `telling_settings`."""
    grad_accum_steps: int = 1
    """Micro-batches of the step that `step_seconds` is of."""
    tokens_per_second: float | None = None
    """Non-padding tokens."""
    samples_per_second: float | None = None
    step_seconds: float | None = None
    curve: Curve | None = None
    """Micro-step against length: serves another dataset, order or accumulation too."""
    peak_bytes: int | None = None
    """Of the memory probe, reserved on a GPU; holds `gap_bytes`."""
    predicted_bytes: int | None = None
    """Before calibration."""
    gap_bytes: int = 0
    """Reserved beyond allocated, on a GPU."""
    eval_seconds_per_row: float | None = None
    save_seconds: float | None = None
    """Of one checkpoint."""
    final_seconds: float | None = None
    """Of the final save."""
    load_seconds: float | None = None
    age_seconds: float = 0.0
    """When it was looked up; 0 in what is to be recorded."""

    @property
    def ratio(self) -> float | None:
        """Peak, less the gap, over its prediction."""
        if self.peak_bytes is None or not self.predicted_bytes:
            return None
        return (self.peak_bytes - self.gap_bytes) / self.predicted_bytes


class PastPeak(msgspec.Struct, frozen=True, kw_only=True):
    """A real peak beside its prediction: measured = ratio x predicted + gap."""

    predicted_bytes: int
    """Before calibration."""
    measured_bytes: int
    """Without the gap."""
    gap_bytes: int
    age_seconds: float

    @property
    def ratio(self) -> float:
        """measured / predicted."""
        return self.measured_bytes / self.predicted_bytes


class PastOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run was expected to take and what it took."""

    at: float
    """Wall clock, seconds since the epoch."""
    run: str
    device: str
    model: str
    """From `shape_key`."""
    estimated_p50_seconds: float
    estimated_p90_seconds: float | None = None
    actual_seconds: float
    age_seconds: float = 0.0
    """When it was looked up; 0 in what is to be recorded."""

    @property
    def accuracy(self) -> float | None:
        """estimate / actual: 1 is exact, above 1 the run was faster than expected."""
        return self.estimated_p50_seconds / self.actual_seconds if self.actual_seconds > 0 else None


class PastEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What a full evaluation took: of a run the mean of all it made, of a trial what a few batches say of it.

    None where there was no such part.
    """

    at: float
    """Wall clock, seconds since the epoch."""
    run: str
    device: str
    model: str
    """From `shape_key`."""
    versions: str
    """From `versions_key`."""
    settings: dict[str, Scalar | None]
    """From `evaluating_settings`."""
    rows: int
    """That were evaluated, answered and scored."""
    at_a_time: int
    """Rows that were answered together."""
    evaluations: int
    """Full ones of a run, that this is the mean of; 0 where it comes from a trial."""
    eval_seconds: float | None = None
    """The loss over all rows."""
    generate_seconds: float | None = None
    metric_seconds: float | None = None
    age_seconds: float = 0.0
    """When it was looked up; 0 in what is to be recorded."""
