"""The training's part of the state: steps, losses, the finish, what was changed on the way."""

from __future__ import annotations

from collections import deque

from speedtui.engine import events as e
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan_types import Advice
from speedtui.engine.state.evaluations_checkpoints import CheckpointFold, EvaluationFold
from speedtui.engine.state.series import GrowingSeries, Losses
from speedtui.engine.state.training_state import TrainingState
from speedtui.engine.state.windows import RecentFold, RecentSteps, Totals

SMOOTHING = 0.9
"""Of the exponential mean of the loss: a memory of about 1 / (1 - 0.9) = 10 to 20 steps."""

GAPS = 100
"""Kept of the gaps between epochs."""
STEADY = 20
"""Steps from which on an estimate of the finish is held against the end: verdicts begin there, too."""
PHASE_BUCKETS = 40
"""Stretches that a phase is drawn in: as many as the widest place for it has cells."""
STEPS_PATH = "train.max_steps"
"""The setting that moves the end."""

TrainingEvent = (
    e.SpanCompleted | e.EvaluationCompleted | e.EvaluationRehearsed | e.CheckpointSaved | e.CheckpointFailed
    | e.NonFiniteFound | e.FiniteAgain | e.DeviceBusyMeasured | e.EtaUpdated | e.LeversFound | e.SettingsChanged
    | e.TrainingFinished
)  # fmt: skip


class TrainingFold:
    """Folds a training's events. A resumed training goes on in the same series."""

    def __init__(self, started: e.TrainingStarted) -> None:
        self._started = started
        self._started_at = started.t
        self._label = started.label
        self._total_steps = started.total_steps
        self._resumes = 0
        self._step = started.first_step
        self._loss: float | None = None
        self._smoothed: float | None = None
        self._nonfinite = self._nonfinite_gradients = self._skipped = 0
        self._not_finite: e.NonFiniteFound | None = None
        self._tokens: int | None = 0
        self._learning_rate: float | None = None
        self._losses = GrowingSeries()
        self._loss_ends = Losses()
        self._worker_began = self._heard_at = started.t
        self._earlier_seconds = 0.0
        self._steps_again = 0
        self._step_seconds = GrowingSeries()
        self._recent_losses = RecentFold()
        self._recent_phases: dict[str, RecentFold] = {}
        self._step_totals = Totals()
        self._recent = RecentSteps()
        self._evaluations = EvaluationFold()
        self._saving = CheckpointFold()
        self._eta: e.EtaUpdated | None = None
        self._first_eta: e.EtaUpdated | None = None
        self._first_eta_step = 0
        self._finished: e.TrainingFinished | None = None
        self._levers: tuple[Advice, ...] = ()
        self._changed: dict[str, Scalar] = {}
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._gap_totals = Totals()
        self._device_busy: e.DeviceBusyMeasured | None = None
        self._samples = 0

    @property
    def finished(self) -> bool:
        """Whether the training is over."""
        return self._finished is not None

    def resume(self, started: e.TrainingStarted) -> None:
        """Another worker, or another trainer, goes on from an earlier step: what is done again is not shown twice.

        Totals keep what was spent the first time.
        """
        self._earlier_seconds += self._heard_at - self._worker_began
        self._worker_began = self._heard_at = started.t
        self._steps_again += max(self._step - started.first_step, 0)
        self._started = started
        self._label = started.label
        self._total_steps = started.total_steps
        self._resumes += 1
        self._step = started.first_step
        self._loss_ends.rewind(started.first_step)
        self._losses.rewind(started.first_step)
        self._step_seconds.rewind(started.first_step)
        self._evaluations.rewind(started.first_step)
        self._saving.rewind(started.first_step)
        points = self._losses.points()
        self._loss = self._smoothed = points[-1][1] if points else None
        self._recent = RecentSteps()
        self._eta, self._finished, self._levers, self._not_finite = None, None, (), None

    def step(self, event: e.StepCompleted) -> None:
        """Takes in one step, or several in one line."""
        self._step = event.step
        self._heard_at = max(self._heard_at, event.t)
        self._recent.add(event)
        self._step_seconds.add(event.step, event.seconds / event.steps)
        self._step_totals = self._step_totals.plus(event.seconds, event.steps)
        self._learning_rate = event.lr if event.lr is not None else self._learning_rate
        self._samples += event.samples
        self._nonfinite += event.nonfinite_steps or event.nonfinite
        self._nonfinite_gradients += event.nonfinite_gradients
        self._skipped += event.skipped_steps
        self._tokens = None if event.tokens is None or self._tokens is None else self._tokens + event.tokens
        self._loss = event.loss
        for name, seconds in (event.device_phases or event.phases).items():
            if name not in self._recent_phases:
                self._recent_phases[name] = RecentFold(PHASE_BUCKETS)
            self._recent_phases[name].add(event.t, seconds / event.steps)
        if event.loss is not None:
            self._losses.add(event.step, event.loss)
            self._loss_ends.add(event.step, event.loss)
            self._recent_losses.add(event.t, event.loss)
            weight = SMOOTHING**event.steps
            previous = event.loss if self._smoothed is None else self._smoothed
            self._smoothed = weight * previous + (1 - weight) * event.loss

    def apply(self, event: TrainingEvent) -> None:
        """Takes in one event."""
        self._heard_at = max(self._heard_at, event.t)
        match event:
            case e.EvaluationCompleted():
                self._evaluations.add(event)
            case e.EvaluationRehearsed():
                self._evaluations.rehearsal = event
            case e.CheckpointSaved() | e.CheckpointFailed():
                self._saving.add(event)
            case e.SpanCompleted(phase="gap"):
                self._gaps.append(event.seconds)
                self._gap_totals = self._gap_totals.plus(event.seconds)
            case e.NonFiniteFound():
                if self._not_finite is None or event.certain or not self._not_finite.certain:
                    self._not_finite = event
            case e.FiniteAgain():
                self._not_finite = None
            case e.DeviceBusyMeasured():
                self._device_busy = event
            case e.LeversFound():
                self._levers = tuple(event.levers)
            case e.SettingsChanged():
                self._on_changed(event)
            case e.EtaUpdated():
                self._on_eta(event)
            case e.TrainingFinished():
                self._finished = event

    def _on_eta(self, event: e.EtaUpdated) -> None:
        self._eta = event
        steady = event.p50_seconds is not None and self._step - self._started.first_step >= STEADY
        if self._first_eta is None and steady:
            self._first_eta, self._first_eta_step = event, self._step

    def _on_changed(self, event: e.SettingsChanged) -> None:
        self._changed = {**self._changed, **event.values}
        self._label = event.label or self._label
        last_step = event.values.get(STEPS_PATH)
        if isinstance(last_step, int) and not isinstance(last_step, bool):
            self._total_steps = last_step

    def snapshot(self, t: float) -> TrainingState:
        """The training at `t` on the run's clock."""
        started, evaluations, saving = self._started, self._evaluations, self._saving
        return TrainingState(
            total_steps=self._total_steps,
            epochs=started.epochs,
            label=self._label,
            trial=started.trial,
            micro_batch_size=started.micro_batch_size,
            grad_accum_steps=started.grad_accum_steps,
            started_at=self._started_at,
            worker_began_at=self._worker_began,
            resumes=self._resumes,
            step=self._step,
            loss=self._loss,
            smoothed_loss=self._smoothed,
            nonfinite_steps=self._nonfinite,
            nonfinite_gradients=self._nonfinite_gradients,
            skipped_steps=self._skipped,
            nonfinite=self._not_finite,
            first_step=started.first_step,
            tokens=self._tokens if self._step_totals.count else None,
            losses=self._losses.points(),
            loss_ends=self._loss_ends.ends,
            trained_seconds=self._earlier_seconds + self._heard_at - self._worker_began,
            steps_again=self._steps_again,
            recent_losses=self._recent_losses.snapshot(t),
            phase_courses={name: recent.snapshot(t) for name, recent in self._recent_phases.items()},
            evaluations=evaluations.shown(),
            full_evaluations=evaluations.full,
            loss_evaluations=evaluations.loss_only,
            evaluation_phases=evaluations.phases,
            best=evaluations.best,
            rehearsal=evaluations.rehearsal,
            checkpoints=saving.shown(),
            checkpoint_totals=saving.totals,
            write_totals=saving.written,
            checkpoint_failures=saving.failures,
            checkpoint_failure=saving.failure,
            steps=self._recent.summary(),
            step_history=self._step_seconds.points(),
            step_totals=self._step_totals,
            learning_rate=self._learning_rate,
            eta=self._eta,
            first_eta=self._first_eta,
            first_eta_step=self._first_eta_step,
            finished=self._finished,
            levers=self._levers,
            changed=self._changed,
            gaps=tuple(self._gaps),
            gap_totals=self._gap_totals,
            flops=started.flops,
            device_busy=self._device_busy,
            samples=self._samples,
        )
