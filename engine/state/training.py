"""The training's part of the state: steps, losses, evaluations, the finish."""

from __future__ import annotations

from collections import deque

from speedtui.engine import events as e
from speedtui.engine.config.settings import Scalar
from speedtui.engine.planned import Advice
from speedtui.engine.state.series import GrowingSeries
from speedtui.engine.state.snapshot import TrainingState
from speedtui.engine.state.steps import RecentSteps

SMOOTHING = 0.9
"""Of the exponential mean of the loss: a memory of about 1 / (1 - 0.9) = 10 to 20 steps."""

GAPS = 100
"""Kept of the gaps between epochs."""

TrainingEvent = (
    e.SpanCompleted | e.EvaluationCompleted | e.EvaluationRehearsed | e.CheckpointSaved | e.CheckpointFailed
    | e.EtaUpdated | e.LeversFound | e.SettingsChanged | e.TrainingFinished
)  # fmt: skip


class TrainingFold:
    """Folds a training's events. A resumed training goes on in the same series."""

    def __init__(self, started: e.TrainingStarted) -> None:
        self._started = started
        self._step = started.first_step
        self._loss: float | None = None
        self._smoothed: float | None = None
        self._nonfinite = 0
        self._learning_rate: float | None = None
        self._losses = GrowingSeries()
        self._step_seconds = GrowingSeries()
        self._recent = RecentSteps()
        self._evaluations: list[e.EvaluationCompleted] = []
        self._checkpoints: list[e.CheckpointSaved] = []
        self._eta: e.EtaUpdated | None = None
        self._finished: e.TrainingFinished | None = None
        self._rehearsal: e.EvaluationRehearsed | None = None
        self._levers: tuple[Advice, ...] = ()
        self._changed: dict[str, Scalar] = {}
        self._gaps: deque[float] = deque(maxlen=GAPS)
        self._checkpoint_failure: e.CheckpointFailed | None = None

    @property
    def finished(self) -> bool:
        """Whether the training is over."""
        return self._finished is not None

    def step(self, event: e.StepCompleted) -> None:
        """Takes in one step, or several in one line."""
        self._step = event.step
        self._recent.add(event)
        self._step_seconds.add(event.step, event.seconds / event.steps)
        self._learning_rate = event.lr if event.lr is not None else self._learning_rate
        self._nonfinite += event.nonfinite
        self._loss = event.loss
        if event.loss is not None:
            self._losses.add(event.step, event.loss)
            weight = SMOOTHING**event.steps
            previous = event.loss if self._smoothed is None else self._smoothed
            self._smoothed = weight * previous + (1 - weight) * event.loss

    def apply(self, event: TrainingEvent) -> None:
        """Takes in one event."""
        match event:
            case e.EvaluationCompleted():
                self._evaluations.append(event)
            case e.EvaluationRehearsed():
                self._rehearsal = event
            case e.CheckpointSaved():
                self._checkpoints.append(event)
                self._checkpoint_failure = None
            case e.CheckpointFailed():
                self._checkpoint_failure = event
            case e.SpanCompleted():
                self._gaps.append(event.seconds)
            case e.LeversFound():
                self._levers = tuple(event.levers)
            case e.SettingsChanged():
                self._changed = {**self._changed, **event.values}
            case e.EtaUpdated():
                self._eta = event
            case e.TrainingFinished():
                self._finished = event

    def snapshot(self) -> TrainingState:
        """The training now."""
        started = self._started
        return TrainingState(
            total_steps=started.total_steps,
            epochs=started.epochs,
            label=started.label,
            micro_batch_size=started.micro_batch_size,
            grad_accum_steps=started.grad_accum_steps,
            started_at=started.t,
            step=self._step,
            loss=self._loss,
            smoothed_loss=self._smoothed,
            nonfinite_steps=self._nonfinite,
            losses=self._losses.points(),
            evaluations=tuple(self._evaluations),
            checkpoints=tuple(self._checkpoints),
            steps=self._recent.summary(),
            step_history=self._step_seconds.points(),
            learning_rate=self._learning_rate,
            eta=self._eta,
            finished=self._finished,
            rehearsal=self._rehearsal,
            levers=self._levers,
            changed=self._changed,
            gaps=tuple(self._gaps),
            checkpoint_failure=self._checkpoint_failure,
        )
