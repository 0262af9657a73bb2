"""Whether anything happens in the run: stalls that began and ended, commands that wait."""

from __future__ import annotations

from collections import deque

from speedtui.engine import events as e
from speedtui.engine.state.windows import Totals

SIGNS_OF_LIFE = (
    e.RunStarted | e.RunFinished | e.ProgressMade | e.ModelLoaded | e.StepCompleted | e.SpanCompleted
    | e.EvaluationCompleted | e.EvaluationRehearsed | e.CheckpointSaved | e.CheckpointFailed | e.SettingsChanged
    | e.TrainingStarted | e.TrainingFinished | e.TrialStarted | e.TrialFinished | e.MemoryPredicted
    | e.CommandReceived | e.CommandApplied | e.CommandRefused | e.Paused | e.Resumed | e.WorkerLost
)  # fmt: skip
"""Events of the thread that does the work, or of its end. Hardware, books and the estimate of the finish come from
other threads, which go on while that one hangs."""
STALLS = 16
"""Kept of the stalls; a run with more of them has one cause."""


class Liveness:
    """Follows stalls and commands over a run."""

    def __init__(self) -> None:
        self._stalled: e.Stalled | None = None
        self._stalls: deque[e.Stalled] = deque(maxlen=STALLS)
        self._ended = Totals()
        self._waiting: dict[str, str] = {}
        self.suspended: e.WorkerSuspended | None = None
        """The worker's process is stopped; None once it goes on."""

    def see(self, event: e.AnyEvent) -> None:
        """Takes in one event of any kind."""
        if isinstance(event, e.StepCompleted):  # nearly all of them
            self._end_stall(event.t)
        elif isinstance(event, e.Stalled):
            self._begin_stall(event)
        elif isinstance(event, e.WorkerSuspended):
            self.suspended = event
        elif isinstance(event, e.ClockMoved):
            self._follow_clock(event)
        elif isinstance(event, SIGNS_OF_LIFE):
            self._end_stall(event.t)
            self._follow_command(event)

    def _begin_stall(self, event: e.Stalled) -> None:
        if self._stalled is not None:  # told again while it lasts
            self._stalls.pop()
        self._stalled = event
        self._stalls.append(event)

    def _follow_clock(self, event: e.ClockMoved) -> None:
        """A process that tells of its suspension goes on."""
        if event.cause == "suspended":
            self.suspended = None

    def _end_stall(self, t: float) -> None:
        self.suspended = None
        if self._stalled is not None:
            self._ended = self._ended.plus(self._lasted(t))
            self._stalled = None

    def _lasted(self, t: float) -> float:
        """From the last sign of life before the stall to `t`."""
        return max(t - self._stalled.t, 0.0) + self._stalled.seconds if self._stalled is not None else 0.0

    def _follow_command(self, event: e.AnyEvent) -> None:
        match event:
            case e.CommandReceived():
                self._waiting[event.id] = event.command
            case e.CommandApplied() | e.CommandRefused():
                self._waiting.pop(event.id, None)
            case e.RunStarted() | e.RunFinished() | e.WorkerLost():
                self._waiting.clear()

    @property
    def stalled(self) -> e.Stalled | None:
        """The stall that goes on."""
        return self._stalled

    @property
    def stalls(self) -> tuple[e.Stalled, ...]:
        """The last ones, each as it was told last."""
        return tuple(self._stalls)

    def totals(self, t: float) -> Totals:
        """Of all stalls, the one that goes on counted up to `t`."""
        return self._ended if self._stalled is None else self._ended.plus(self._lasted(t))

    @property
    def waiting(self) -> tuple[str, ...]:
        """Names of the commands that were received and have no answer yet, the oldest first."""
        return tuple(self._waiting.values())
