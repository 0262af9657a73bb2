"""A search gone through again from its beginning: what it asked for, what came of it, what it settled."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeVar

from speedtui.engine.candidate import Measurement, TrialResult, TrialStatus
from speedtui.engine.search.base import Ask, Compare, Compared, Decision, Trial, Try
from speedtui.engine.search.memory_fit import MemoryFit
from speedtui.engine.search.space import SearchPoint, Space, as_key
from speedtui.engine.units import format_size

SearchAnswer = Trial | Compared
T = TypeVar("T")
Steps = Generator[Ask, SearchAnswer, T]
"""A part of a search: yields what it needs to know, is sent the answer, and returns what it found."""


class SearchReplay:
    """What a search knows at a moment of its course, and nothing that it learned later.

    A search is written straight down, as if every trial could be run at once. To ask it for the next step it is run
    from the beginning with the answers there are; where one is missing, that is what is asked for.
    """

    def __init__(self, space: Space, room: MemoryFit) -> None:
        self.space = space
        self.room = room
        self.decisions: list[Decision] = []
        self.incumbent: int | None = None
        self.tried: dict[SearchPoint, Trial] = {}
        self.considered: set[bytes] = set()
        """Memory classes that were explored at their own micro-batches, or found not to be worth it."""
        self.comparisons = 0

    def attempt(self, point: SearchPoint, why: str) -> Steps[Trial]:
        """The trial of a point; run once only, however often it is asked for."""
        if point not in self.tried:
            trial = yield Try(values=self.space.values(point), why=why)
            assert isinstance(trial, Trial)
            self.tried[point] = trial
            self.room.learn(self.space.key(point), point.micro_batch_size, trial.result)
            if trial.result.status is TrialStatus.OUT_OF_MEMORY:
                self._too_large(point, trial)
        return self.tried[point]

    def _too_large(self, point: SearchPoint, trial: Trial) -> None:
        predicted = self.room.predicted_bytes(self.space.key(point), point.micro_batch_size)
        reason = f"it ran out of memory at a predicted {format_size(predicted)}; smaller ones only from here on"
        self.decide(Decision(kind="drop", what=trial.candidate.label, reason=reason, trial=trial.candidate.id))

    def compare(self, incumbent: SearchPoint, challenger: SearchPoint) -> Steps[Compared]:
        """Both measured in turns."""
        request = Compare(
            incumbent=self.tried[incumbent].candidate.id, challenger=self.tried[challenger].candidate.id
        )  # fmt: skip
        compared = yield request
        assert isinstance(compared, Compared)
        self.comparisons += 1
        return compared

    def decide(self, decision: Decision) -> None:
        """Notes it, once."""
        if decision not in self.decisions:
            self.decisions.append(decision)

    def drop(self, what: str, reason: str) -> None:
        """Something is not going to be tried."""
        self.decide(Decision(kind="drop", what=what, reason=reason))

    def speed(self, point: SearchPoint) -> float | None:
        """Samples a second where it was measured; also of a trial that was ended since it loses."""
        trial = self.tried.get(point)
        measured = measurement_of(trial.result) if trial is not None else None
        return measured.samples_per_second if measured is not None else None

    def fastest(self, points: Sequence[SearchPoint]) -> SearchPoint | None:
        """Of those with a result that may win; the smaller micro-batch on a tie."""
        speeds = [
            (self.tried[point].result.measurement, point)
            for point in points
            if point in self.tried and self.tried[point].result.status is TrialStatus.OK
        ]
        known = [(m.samples_per_second, -p.micro_batch_size, p) for m, p in speeds if m is not None]
        return max(known, key=lambda entry: entry[:2])[2] if known else None


def measurement_of(result: TrialResult) -> Measurement | None:
    """What a trial measured, unless it failed."""
    return result.measurement if result.status in (TrialStatus.OK, TrialStatus.PRUNED) else None


def run_course(
    steps: Steps[T], space: Space, trials: Sequence[Trial], compared: Sequence[Compared]
) -> Ask | None:  # fmt: skip
    """Runs a search as far as the answers reach: the first question without one, or None at its end."""
    by_values = {as_key(space.values_of(trial.candidate)): trial for trial in trials}
    by_pair = {(c.incumbent, c.challenger): c for c in compared}
    try:
        request = next(steps)
        while True:
            answer = (
                by_values.get(as_key(request.values))
                if isinstance(request, Try)
                else by_pair.get((request.incumbent, request.challenger))
            )
            if answer is None:
                return request
            request = steps.send(answer)
    except StopIteration:
        return None
