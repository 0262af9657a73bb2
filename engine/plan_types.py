"""What a plan says, as plain data: profiles side by side, schedules, frequencies, goals, advice."""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.candidate import Estimate, FigureSource, MemoryBreakdown
from speedtui.engine.config.settings import Scalar

Fit = Literal["fits", "tight", "late", "no_memory", "unknown"]
"""Against the window: P90 inside the safe limit; P50 inside it or P90 before the deadline; later than that.
`no_memory`: it does not fit the device; `unknown`: there is no window or no estimate."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One setting that differs from what was asked for, what it costs and what it buys."""

    path: str
    before: Scalar | None
    after: Scalar | None
    reason: str
    """Why, in words."""
    gives_up: str = ""
    """What it costs in quality; empty where it costs none."""
    saves_seconds: float | None = None
    saves_bytes: int | None = None


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A profile resolved against the device, the dataset and the window."""

    profile: str
    description: str
    label: str
    """Such as `mb4 ga8 r16`."""
    values: dict[str, Scalar]
    """Settings by path that make the run's configuration into this profile."""
    micro_batch_size: int
    grad_accum_steps: int
    max_length: int
    epochs: float
    changes: list[Change] = []
    """What was given up so that it fits, in the order in which it was."""
    step_seconds: float | None = None
    tokens_per_second: float | None = None
    """Non-padding tokens."""
    peak_bytes: int | None = None
    """Measured, or predicted where `source` is not measured."""
    predicted_bytes: int | None = None
    breakdown: MemoryBreakdown | None = None
    limit_bytes: int | None = None
    memory_fits: bool | None = None
    eval_seconds: float | None = None
    """One evaluation."""
    save_seconds: float | None = None
    """One checkpoint."""
    generate_seconds: float | None = None
    """The answers of one full evaluation."""
    metric_seconds: float | None = None
    """Their scores."""
    answer_tokens: float | None = None
    """New tokens of a mean answer: as many as the right ones have, and with beams some more. None where the figures
    are a run's own."""
    answers_source: FigureSource | None = None
    """What answers and scores rest on: a rehearsal (`measured`) or an earlier run; None where they cost nothing or
    nothing is known of them."""
    answers_age_seconds: float | None = None
    """Of that run."""
    estimate: Estimate | None = None
    finish_p50: float | None = None
    """Wall clock, seconds since the epoch, if it started now."""
    finish_p90: float | None = None
    spare_seconds: float | None = None
    """From the P50 finish to the latest safe finish; negative where it is later."""
    fit: Fit = "unknown"
    source: FigureSource = "model"
    source_age_seconds: float | None = None
    """Of the history it comes from."""
    note: str = ""


class FrequencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One way to space evaluations or checkpoints, everything else unchanged."""

    what: Literal["eval", "checkpoint"]
    every_steps: int | None
    """None: never, except for the final save."""
    every: str
    """As it is written in the configuration, such as `200 steps`."""
    count: int
    cost_seconds: float
    share: float
    """Of the whole run."""
    total_seconds: float
    """P50 of the whole run."""
    finish: float | None
    fit: Fit
    lost_seconds: float | None = None
    """For a checkpoint: most work lost when the run is killed just before one."""
    current: bool = False
    best_only: bool = False
    """A checkpoint that follows the best evaluations: no interval in steps or epochs is kept beside them."""


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A whole schedule: full, fast or ultra fast."""

    name: str
    epoch_seconds: float
    """Training steps of one epoch."""
    gap_seconds: float
    """Mean time between two epochs: evaluations and checkpoints."""
    total_seconds: float
    finish: float | None
    fit: Fit
    monitored: str
    """What can still be seen of the run while it goes on."""
    values: dict[str, Scalar]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """The most of something that still fits the window."""

    what: Literal["evals", "epochs", "steps"]
    value: float
    """None fits at 0."""
    text: str
    """In words: `an evaluation every 150 steps (120 of them)`."""
    values: dict[str, Scalar]


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """What another order or layout of the samples would save, computed and not run."""

    lever: Literal["group_by_length", "packing"]
    seconds: float
    """Of the P50; negative where it costs time."""
    share: float
    """Of the time in steps."""
    padding_before: float
    padding_after: float
    """Shares of the padded tokens that are padding."""
    values: dict[str, Scalar]
    note: str = ""


AdviceKind = Literal["too_slow", "will_not_fit", "too_fast", "estimate_off", "wasteful", "not_finite"]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What to change, what shows that it is needed, and what it buys."""

    kind: AdviceKind
    evidence: str
    """The figures that show it, in words."""
    lever: str
    """The exact change in words."""
    changes: dict[str, Scalar]
    """The same as settings by path."""
    gain_seconds: float | None
    """What it buys; None where it buys memory or quality and no time."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which profile the data asks for."""

    profile: str
    epochs: float
    max_length: int
    reason: str
    """The rule in words, with the figures it saw."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be known before a run."""

    made_at: float
    """Wall clock, seconds since the epoch."""
    device: str
    """Name, or what --device gave."""
    device_here: bool
    limit_bytes: int | None
    train_rows: int
    mean_tokens: float | None
    longest_tokens: int | None
    total_tokens: int | None
    choice: Choice
    selected: str
    """The profile the schedules below are for."""
    held_out_rows: int = 0
    """Of the training data, to evaluate on; they are not among `train_rows`."""
    cut_rows: int = 0
    """Training rows longer than its maximum length."""
    dropped_rows: int = 0
    """Training rows with nothing to learn from within it."""
    eval_cut_rows: int = 0
    """Of the evaluation data."""
    eval_dropped_rows: int = 0
    """Of the evaluation data: its loss does not count them."""
    profiles: list[ProfileRow]
    frequencies: list[FrequencyRow] = []
    schedules: list[ScheduleRow] = []
    goals: list[Goal] = []
    savings: list[Saving] = []
    advice: list[Advice] = []
    longest_target_tokens: int | None = None
    """Of an encoder-decoder, whose `longest_tokens` is its longest source; None for any other model."""
    mean_target_tokens: float | None = None
    """The part of `mean_tokens` that is the target's."""

    @property
    def row(self) -> ProfileRow | None:
        """The selected profile's row."""
        return next((row for row in self.profiles if row.profile == self.selected), None)
