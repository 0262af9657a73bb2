"""What a training does besides its steps: bounded lists of evaluations and checkpoints, levers told."""

from __future__ import annotations

from collections import deque

from speedtui.engine import events as e
from speedtui.engine.state.series import ThinnedList
from speedtui.engine.state.windows import Totals

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


SHORTER = 0.5
"""By which share a shortage has to become another one before the same lever is told again."""


class ToldLever:
    """The lever that was told last for a training that is late, so that it is told again only for another shortage."""

    def __init__(self) -> None:
        self._lever, self._short = "", 0.0

    def again(self, event: e.AnyEvent) -> bool:
        """Whether the same lever was told last, for about the same shortage: a line more would say nothing new."""
        if not isinstance(event, e.LeversFound):
            return False
        lever = event.levers[0].lever if event.levers else ""
        if lever and lever == self._lever and abs(event.short_seconds - self._short) <= SHORTER * self._short:
            return True
        self._lever, self._short = lever, event.short_seconds
        return False
