"""What happens in a training."""

from __future__ import annotations

from speedtui.engine.config.settings import Scalar
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.events.base import EndReason, EvaluationKind, Event, NonFinite, Probe, SaveReason, Verdict
from speedtui.engine.plan_types import Advice


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
    """The loss was NaN or infinite, of one step at least; of one step it reads null."""
    nonfinite_steps: int = 0
    """Of `steps`, those with such a loss; 0 beside `nonfinite` in logs from before it was counted."""
    nonfinite_gradients: int = 0
    """Of `steps`, those whose gradient norm was NaN or infinite, as far as it was computed: for clipping. Not those
    that a loss scaler left out for its scale."""
    skipped_steps: int = 0
    """Of `steps`, those that changed no weight: with train.fp16 a gradient was NaN or infinite, and its scale was
    halved. A few of the first are, until the scale is found."""
    lr: float | None = None
    seconds: float
    """Wall time on the CPU clock, all of `steps` together."""
    phases: dict[str, float]
    """Seconds by step phase on the CPU clock; those that round to nothing are left out."""
    device_phases: dict[str, float] | None = None
    """The same on the device's clock, from CUDA events."""
    peak_allocated_bytes: int | None = None
    peak_reserved_bytes: int | None = None
    alloc_retries: int | None = None
    trial: int | None = None
    """The candidate's id while a trial runs; None in training."""
    probe: Probe | None = None


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
    flops: ModelFlops | None = None
    """The model's operations beside the device's peak; None on a CPU and where they cannot be counted."""


class DeviceBusyMeasured(Event, frozen=True, kw_only=True):
    """A profile of a few steps told when the device computed. Its own cost is in their time: a step that waits for its
    launches is shown a little idler than it is without."""

    step: int
    """The last of them."""
    steps: int
    phases: dict[str, float]
    """Seconds of all of them by step phase, on the device's clock."""
    busy: dict[str, float]
    """Of those, seconds in which the device computed or copied."""
    cost_seconds: float
    """What starting, stopping and reading the profile took besides."""

    @property
    def idle_fraction(self) -> float | None:
        """Share of the steps in which the device did nothing."""
        whole = sum(self.phases.values())
        return max(0.0, 1 - sum(self.busy.values()) / whole) if whole else None

    def idle_share(self, phase: str) -> float | None:
        """The same of one phase; None of one that took no time."""
        seconds = self.phases.get(phase, 0.0)
        return max(0.0, 1 - self.busy.get(phase, 0.0) / seconds) if seconds > 0 else None


class EvaluationCompleted(Event, frozen=True, kw_only=True):
    """The model was evaluated."""

    step: int
    loss: float | None
    nonfinite: bool = False
    """The loss was NaN or infinite; it reads null."""
    seconds: float
    """All of it, generation and metric too."""
    rows: int
    """That the loss is over."""
    left_out: int = 0
    """Rows of the evaluation data besides: nothing of their answer is within data.max_length."""
    cut: int = 0
    """Of `rows`, those that the loss counts only up to data.max_length."""
    answers: int | None = None
    """Rows that were answered, those that the loss leaves out too, and scored; None where none was to be."""
    unanswered: int = 0
    """Of `answers`, those whose prompt the model has no room for: they count as empty answers."""
    kind: EvaluationKind = "full"
    metrics: dict[str, float] = {}
    """By name; of those that were to be scored."""
    unscored: int = 0
    """Samples that had no score when the metric's time was up, or raised; they count as 0."""
    phases: dict[str, float] = {}
    """Seconds by phase: eval, generate, metric."""
    best: bool = False
    """The best so far, by `schedule.best_by`."""


class NonFiniteFound(Event, frozen=True, kw_only=True):
    """Something of the training is NaN or infinite: told at once, and again for whatever else is."""

    step: int
    """At which it was found."""
    what: NonFinite
    since: int
    """The first step of the stretch in which losses or gradient norms are not finite."""
    last_finite_step: int | None = None
    """The last one before with a finite loss and gradient norm; None where there was none in this worker."""
    certain: bool = False
    """Nothing brings it back: the weights are not finite, or losses have not been for too many steps in a row."""
    where: str = ""
    """The first of the weights that are not finite, by name."""
    checkpoint: int | None = None
    """Step of the last checkpoint from before, which is certain to be finite; None where there is none."""


class FiniteAgain(Event, frozen=True, kw_only=True):
    """Losses and gradient norms are finite again from this step on."""

    step: int
    steps: int
    """How many were not."""


class EvaluationRehearsed(Event, frozen=True, kw_only=True):
    """A small part of a full evaluation went through before the first step."""

    rows: int
    seconds: float
    expected_seconds: float
    """What the whole of it will take, by this."""
    phases: dict[str, float] = {}
    expected_phases: dict[str, float] = {}
    """Seconds of the whole by phase; answers are taken to be as long as the right ones, which those of the part, of a
    model that has learned nothing yet, are not."""


class CheckpointSaved(Event, frozen=True, kw_only=True):
    """A checkpoint or the final model is on disk."""

    step: int
    path: str
    bytes: int
    seconds: float
    final: bool = False
    write_seconds: float | None = None
    """Of `seconds`, what writing the files took."""
    reason: SaveReason = "schedule"


class CheckpointFailed(Event, frozen=True, kw_only=True):
    """A checkpoint could not be written; the training goes on and the older ones are untouched."""

    step: int
    reason: str
    """Such as `No space left on device`."""
    retry_seconds: float
    """Until the next try."""


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
    steps_per_hour: float | None = None
    """All that comes between steps left out."""


class LeversFound(Event, frozen=True, kw_only=True):
    """What would bring a late training nearer to its deadline; again when it has changed."""

    levers: list[Advice]
    """The largest gain first; empty when nothing would help or it is no longer late."""
    short_seconds: float
    """From the latest safe finish to the P50 finish."""


class SettingsChanged(Event, frozen=True, kw_only=True):
    """Settings of the training in progress are other ones from this step on."""

    step: int
    values: dict[str, Scalar]
    reason: str
    """Such as `command`."""
    label: str = ""
    """What the training is called with them; empty where that is told elsewhere."""


class TrainingFinished(Event, frozen=True, kw_only=True):
    """The training proper ended."""

    steps: int
    seconds: float
    """That it trained, evaluations and checkpoints included, all its workers together."""
    first_loss: float | None
    """Mean over the first steps, as many as `last_loss` has."""
    last_loss: float | None
    model_path: str | None
    reason: EndReason = "steps"
    total_steps: int | None = None
    """Those it was to have."""
    best_step: int | None = None
    """Whose model is left, where that is not the last one: the best one's, or of a diverged training the last
    finite checkpoint's."""
