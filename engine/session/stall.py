"""Whether a run still does anything, judged from outside its worker."""

from __future__ import annotations

from collections import deque

import msgspec

from speedtui.engine import events as e
from speedtui.engine.state.liveness import SIGNS_OF_LIFE

RECENT_STEPS = 50
"""Lines of the log whose slowest step counts, as many as the state keeps."""

KINDS = {
    "load": "load", "compile": "load", "eval": "eval", "generate": "eval", "metric": "eval", "checkpoint": "checkpoint",
    "write": "checkpoint", "paused": "paused",
}  # fmt: skip
"""By phase of the books, what has a budget of its own; the others are the training's."""


class StallBudgets(msgspec.Struct, frozen=True, kw_only=True):
    """How long nothing may happen, in seconds."""

    factor: float = 6.0
    """Times the slowest of what was seen: lengths within a data set, and a machine that others use, make a step or an
    evaluation a few times slower than another one, not six times slower than the slowest."""
    step_least: float = 90.0
    """Fast steps: the network, the disk or another tenant may hold one up for a minute."""
    step_most: float = 900.0
    """However slow the steps: a quarter of an hour of a hung device is what one would not want to lose unknowing. Also
    for the first step of a worker, which may compile kernels or pass over the batches of an earlier one."""
    other_least: float = 300.0
    """Of an evaluation, a save or a load: a network disk may pause for minutes."""
    other_first: float = 1800.0
    """Before there was one of its kind: a model may be fetched, or a large test set generated for."""


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing has happened for longer than its budget."""

    phase: str
    """training, eval, checkpoint or load."""
    seconds: float
    """Since the last sign of life."""
    budget_seconds: float


class StallWatch:
    """Follows a training's events; times are the reader's own, on a monotonic clock.

    Signs of life are the events of the thread that does the work. What it works at is known from the last of them and
    from how the books grow, which another thread of the worker writes every few seconds.
    """

    def __init__(self, budgets: StallBudgets | None = None) -> None:
        self._budgets = budgets or StallBudgets()
        self._on = False
        self._kind = "load"
        self._since = 0.0
        self._told = False
        self.suspended = False
        """The worker is stopped, so that nothing can happen."""
        self._steps: deque[float] = deque(maxlen=RECENT_STEPS)
        self._longest: dict[str, float] = {}
        self._books: dict[str, float] | None = None

    def observe(self, event: e.AnyEvent, now: float) -> None:
        """Takes in an event that was read at `now`."""
        if isinstance(event, e.BooksUpdated):
            self._follow_books(event.books)
        elif isinstance(event, e.Stalled):
            self._told = True
        elif isinstance(event, e.WorkerSuspended):
            self.suspended = True
        elif isinstance(event, e.ClockMoved) and event.cause == "suspended":
            self._since, self.suspended = now, False
        elif isinstance(event, SIGNS_OF_LIFE):
            self._since, self._told, self.suspended = now, False, False
            self._follow_work(event)

    def excuse(self, seconds: float) -> None:
        """So long the reader could not look; below zero for not at all."""
        self._since += max(seconds, 0.0)

    def told(self) -> None:
        """The stall was told; again only after a sign of life."""
        self._told = True

    def stall(self, now: float) -> Stall | None:
        """What to tell at `now`, if anything."""
        if not self._on or self._told or self.suspended or self._kind == "paused":
            return None
        silent, budget = now - self._since, self._budget()
        if silent < budget:
            return None
        return Stall(phase=self._kind, seconds=round(silent, 3), budget_seconds=round(budget, 3))

    def _budget(self) -> float:
        rules = self._budgets
        if self._kind == "training":
            slowest = max(self._steps, default=rules.step_most)
            return min(max(rules.factor * slowest, rules.step_least), rules.step_most)
        longest = self._longest.get(self._kind)
        return rules.other_first if longest is None else max(rules.factor * longest, rules.other_least)

    def _follow_work(self, event: e.AnyEvent) -> None:
        match event:
            case e.StepCompleted() if event.trial is None:
                self._kind = "training"
                self._steps.append(event.seconds / event.steps)
            case e.EvaluationCompleted():
                self._lasted("eval", event.seconds)
            case e.EvaluationRehearsed():
                self._lasted("eval", event.expected_seconds)
            case e.CheckpointSaved():
                self._lasted("checkpoint", event.seconds)
            case e.ModelLoaded():
                self._longest["load"] = max(event.seconds, self._longest.get("load", 0.0))
            case e.RunStarted():
                self._on, self._kind, self._books = event.job == "train", "load", None
            case e.TrainingStarted():
                self._on, self._kind = True, "training"
                self._steps.clear()
            case e.TrainingFinished() | e.RunFinished() | e.WorkerLost():
                self._on = False
            case e.Paused():
                self._kind = "paused"
            case e.Resumed():
                self._kind = "training"

    def _lasted(self, kind: str, seconds: float) -> None:
        self._longest[kind] = max(seconds, self._longest.get(kind, 0.0))
        self._kind = "training"

    def _follow_books(self, books: e.Books) -> None:
        """What grew most since the last entry is what the worker is at."""
        before, self._books = self._books, books.phases
        if before is None:
            return
        grown: dict[str, float] = {}
        for name, seconds in books.phases.items():
            kind = KINDS.get(name, "training")
            grown[kind] = grown.get(kind, 0.0) + seconds - before.get(name, 0.0)
        self._kind = max(grown, key=lambda kind: grown[kind], default=self._kind)
