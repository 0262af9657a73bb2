"""What a training does besides its steps: evaluations and checkpoints, bounded lists with exact totals."""

from __future__ import annotations

from collections import deque

from speedtui.engine import events as e
from speedtui.engine.state.series import ThinnedList
from speedtui.engine.state.totals import Totals

EVALUATIONS = 256
"""Kept of each kind, spread over the run: more than a chart has columns."""
BESTS = 16
"""Kept of those that were the best so far: a resumed training may go back behind the last one."""
CHECKPOINTS = 128
"""Kept, the newest: they say where to go on from."""


class EvaluationFold:
    """Folds evaluations; full and loss-only ones are thinned apart, since there may be many more of the latter."""

    def __init__(self) -> None:
        self.full = Totals()
        self.loss_only = Totals()
        self.phases: dict[str, float] = {}
        """Seconds by phase, all evaluations together."""
        self.rehearsal: e.EvaluationRehearsed | None = None
        self._full: ThinnedList[e.EvaluationCompleted] = ThinnedList(EVALUATIONS)
        self._loss_only: ThinnedList[e.EvaluationCompleted] = ThinnedList(EVALUATIONS)
        self._bests: deque[e.EvaluationCompleted] = deque(maxlen=BESTS)

    def add(self, event: e.EvaluationCompleted) -> None:
        """Takes in one."""
        if event.kind == "full":
            self.full = self.full.plus(event.seconds)
            self._full.add(event)
        else:
            self.loss_only = self.loss_only.plus(event.seconds)
            self._loss_only.add(event)
        self.phases = {
            name: self.phases.get(name, 0.0) + event.phases.get(name, 0.0) for name in (*self.phases, *event.phases)
        }
        if event.best:
            self._bests.append(event)

    def rewind(self, step: int) -> None:
        """Drops those after a step that is done again."""
        self._full.keep(lambda event: event.step <= step)
        self._loss_only.keep(lambda event: event.step <= step)
        while self._bests and self._bests[-1].step > step:
            self._bests.pop()

    @property
    def best(self) -> e.EvaluationCompleted | None:
        """The last one that was the best so far."""
        return self._bests[-1] if self._bests else None

    def shown(self) -> tuple[e.EvaluationCompleted, ...]:
        """Some of each kind, the last one and the best among them, in the order in which they came."""
        found = {id(event): event for event in (*self._full.items(), *self._loss_only.items())}
        if self.best is not None:
            found[id(self.best)] = self.best
        return tuple(sorted(found.values(), key=lambda event: event.t))


class CheckpointFold:
    """Folds checkpoints and the final save."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.written = Totals()
        """The file writing in them, where it was measured."""
        self.failures = 0
        self.failure: e.CheckpointFailed | None = None
        self._saved: deque[e.CheckpointSaved] = deque(maxlen=CHECKPOINTS)

    def add(self, event: e.CheckpointSaved | e.CheckpointFailed) -> None:
        """Takes in one."""
        if isinstance(event, e.CheckpointFailed):
            self.failures += 1
            self.failure = event
            return
        self.failure = None
        self.totals = self.totals.plus(event.seconds)
        if event.write_seconds is not None:
            self.written = self.written.plus(event.write_seconds)
        self._saved.append(event)

    def rewind(self, step: int) -> None:
        """Drops those after a step that is done again: they are not there any more, or could not be used."""
        self._saved = deque((event for event in self._saved if event.step <= step), maxlen=CHECKPOINTS)

    def shown(self) -> tuple[e.CheckpointSaved, ...]:
        """The newest ones, the oldest of them first."""
        return tuple(self._saved)
