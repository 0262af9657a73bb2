"""The study's part of the state: candidates, their status, their results."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.state.study_state import StudyState, TrialRow
from speedtui.engine.state.windows import RecentSteps

StudyEvent = (
    e.CandidateAdded | e.CandidateEdited | e.CandidateRemoved | e.TrialQueued | e.TrialStarted | e.TrialFinished
    | e.StudyFinished | e.TrialPromoted | e.MemoryPredicted | e.MemoryCalibrated | e.DecisionMade
)  # fmt: skip

DECISIONS = 1024
"""Kept: a search makes a few for each of its candidates."""


PLAN = "plan"
"""Mode of a study whose trials are a plan's profiles."""


def best_trial(results: Iterable[tuple[int, TrialResult]]) -> int | None:
    """The id with the most samples a second among the trials that are ok; None where none is."""
    rates = [
        (result.measurement.samples_per_second, trial)
        for trial, result in results
        if result.status is TrialStatus.OK and result.measurement is not None
    ]
    return max(rates, key=lambda pair: (pair[0], -pair[1]))[1] if rates else None


class _CandidateFold:
    def __init__(self, candidate: Candidate, status: TrialStatus) -> None:
        self.candidate = candidate
        self.status = status
        self.result: TrialResult | None = None
        self.started_at: float | None = None
        self.probe: str | None = None
        self.steps = RecentSteps()
        self.batches_done = 0
        self.predicted: e.MemoryPredicted | None = None

    def start(self, t: float) -> None:
        self.status, self.result, self.started_at, self.probe = TrialStatus.RUNNING, None, t, None
        self.steps, self.batches_done = RecentSteps(), 0

    def snapshot(self, *, over: bool) -> TrialRow:
        """`over`: the run has ended, and what waits for its turn gets none."""
        waits = self.status in (TrialStatus.WAITING, TrialStatus.QUEUED)
        status = TrialStatus.NOT_RUN if over and waits else self.status
        return TrialRow(
            candidate=self.candidate, status=status, result=self.result, started_at=self.started_at,
            probe=self.probe, steps=self.steps.summary(), batches_done=self.batches_done, predicted=self.predicted,
        )  # fmt: skip


class StudyFold:
    """Folds a study's events."""

    def __init__(self, started: e.StudyStarted) -> None:
        self._started = started
        status = TrialStatus.QUEUED if started.queued else TrialStatus.WAITING
        self._rows = {candidate.id: _CandidateFold(candidate, status) for candidate in started.candidates}
        self._finished: e.StudyFinished | None = None
        self._promoted: int | None = None
        self._calibration: e.MemoryCalibrated | None = None
        self._decisions: deque[e.DecisionMade] = deque(maxlen=DECISIONS)
        self._left_out: set[int] = set()
        """Candidates that were removed, and those already said to be missing."""

    def missing(self, event: StudyEvent) -> int | None:
        """The candidate that an event tells of and no event before it has added, which is so where a part of the log
        was lost: each is told once. None where there is none."""
        if not isinstance(event, e.CandidateEdited | e.TrialQueued | e.TrialStarted | e.TrialFinished):
            return None
        trial = event.candidate.id if isinstance(event, e.CandidateEdited) else event.trial
        if trial in self._rows or trial in self._left_out:
            return None
        self._left_out.add(trial)
        return trial

    @property
    def running(self) -> bool:
        """Whether a trial is in progress."""
        return any(row.status is TrialStatus.RUNNING for row in self._rows.values())

    @property
    def pending(self) -> bool:
        """Whether a candidate is queued or running."""
        return any(row.status in (TrialStatus.QUEUED, TrialStatus.RUNNING) for row in self._rows.values())

    def apply(self, event: StudyEvent) -> None:
        """Takes in one event."""
        match event:
            case e.CandidateAdded():
                status = TrialStatus.QUEUED if event.queued else TrialStatus.WAITING
                self._rows[event.candidate.id] = _CandidateFold(event.candidate, status)
                if event.queued:
                    self._finished = None
            case e.CandidateEdited():
                if event.candidate.id in self._rows:
                    self._rows[event.candidate.id].candidate = event.candidate
            case e.CandidateRemoved():
                self._rows.pop(event.trial, None)
                self._left_out.add(event.trial)
            case e.TrialQueued():
                self._set_status(event.trial, TrialStatus.QUEUED)
                self._finished = None
            case e.TrialStarted():
                if event.trial in self._rows:
                    self._rows[event.trial].start(event.t)
            case e.TrialFinished():
                self._finish(event)
            case e.StudyFinished():
                self._finished = event
            case e.TrialPromoted():
                self._promoted = event.trial
            case e.MemoryPredicted():
                if event.trial in self._rows:
                    self._rows[event.trial].predicted = event
            case e.MemoryCalibrated():
                self._calibration = event
            case e.DecisionMade():
                self._decisions.append(event)

    def step(self, event: e.StepCompleted) -> None:
        """Takes in a step of a trial's probe."""
        row = self._rows.get(event.trial) if event.trial is not None else None
        if row is None:
            return
        row.probe = event.probe
        if event.probe == "throughput":
            row.steps.add(event)
            row.batches_done += event.micro_steps

    def worker_restarted(self) -> None:
        """A trial that was running has lost its worker; the new one reports it as failed or queues it."""
        for row in self._rows.values():
            if row.status is TrialStatus.RUNNING:
                row.probe = None

    def _set_status(self, trial: int, status: TrialStatus) -> None:
        if trial in self._rows:
            self._rows[trial].status = status

    def _finish(self, event: e.TrialFinished) -> None:
        row = self._rows.get(event.trial)
        if row is not None:
            row.status, row.result, row.probe = event.result.status, event.result, None

    def _best(self, results: list[tuple[int, TrialResult]]) -> int | None:
        """What the study itself found at its end, which comparisons may have decided; before that, the fastest.

        A plan's profiles train for other epochs and on other lengths, so that none of them is the best by its speed:
        at the end it is the one that was planned with.
        """
        finished = self._finished
        if self._started.mode == PLAN:
            return finished.best if finished is not None else None
        return best_trial(results) if finished is None or finished.best is None else finished.best

    def snapshot(self, *, over: bool) -> StudyState:
        """The study now; `over`: its run has ended."""
        results = [(trial, row.result) for trial, row in self._rows.items() if row.result is not None]
        state = StudyState(
            mode=self._started.mode,
            batches=self._started.batches,
            rows=tuple(row.snapshot(over=over) for row in self._rows.values()),
            memory_limit_bytes=self._started.memory_limit_bytes,
            budget_seconds=self._started.budget_seconds,
            started_at=self._started.t,
            best=self._best(results),
            promoted=self._promoted,
            calibration=self._calibration,
            decisions=tuple(self._decisions),
        )
        if self._finished is None:
            return state
        return msgspec.structs.replace(
            state, finished=True, finish_reason=self._finished.reason, files=self._finished.files
        )
