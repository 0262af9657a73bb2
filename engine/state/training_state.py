"""A training as screens and reports read it."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import Scalar
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.events import (
    CheckpointFailed,
    CheckpointSaved,
    DeviceBusyMeasured,
    EtaUpdated,
    EvaluationCompleted,
    EvaluationRehearsed,
    NonFiniteFound,
    TrainingFinished,
)
from speedtui.engine.plan_types import Advice
from speedtui.engine.state.series import SeriesPoint
from speedtui.engine.state.windows import Recent, StepWindow, Totals


class TrainingState(msgspec.Struct, frozen=True, kw_only=True):
    """The training proper. Lists are bounded however long it lasts; totals are exact, steps done twice included."""

    total_steps: int
    epochs: float
    label: str
    micro_batch_size: int
    grad_accum_steps: int
    started_at: float
    """On the run's clock, of its first start."""
    worker_began_at: float = 0.0
    """The same of its present trainer."""
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
    skipped_steps: int = 0
    """Steps that the scaler of float16's gradients left out."""
    nonfinite: NonFiniteFound | None = None
    """What is NaN or infinite now, as told last; None while all is finite."""
    tokens: int | None = None
    """Non-padding, of all steps; None where a step did not count its own."""
    first_step: int = 0
    """Steps that were done before the present start."""
    losses: tuple[SeriesPoint, ...] = ()
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
    step_history: tuple[SeriesPoint, ...] = ()
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
    samples: int = 0
    """Of all steps."""
    flops: ModelFlops | None = None
    """The model's operations beside the device's peak; None where they are not known."""
    device_busy: DeviceBusyMeasured | None = None
    """The last profile; None where none was made."""

    @property
    def progress(self) -> float:
        """Share of the steps that are done."""
        return self.step / self.total_steps if self.total_steps else 0.0

    @property
    def recent_mfu(self) -> float | None:
        """Share of the device's peak that the recent steps came to."""
        steps = self.steps
        if self.flops is None:
            return None
        return self.flops.utilization(steps.tokens_per_second, steps.samples_per_second)

    @property
    def mfu(self) -> float | None:
        """The same of all steps, in their own time."""
        seconds = self.step_totals.seconds
        if self.flops is None or not seconds:
            return None
        tokens = self.tokens / seconds if self.tokens is not None else None
        return self.flops.utilization(tokens, self.samples / seconds)
