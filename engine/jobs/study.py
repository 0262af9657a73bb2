"""The candidates of a study, their results, and the commands that change them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.config.settings import Scalar
from speedtui.engine.context.context import JobContext, Refused
from speedtui.engine.errors import ConfigError
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.report.promote import write_promoted
from speedtui.engine.search.base import Trial
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.state import TrialRow
from speedtui.engine.state.study import PLAN, best_trial
from speedtui.engine.units import format_budget

if TYPE_CHECKING:
    from speedtui.engine.trial.runner import TrialRunner

LOST = "its worker died during this trial; it is not tried again by itself"


class Study:
    """Changed by the job and by commands; every change is an event."""

    def __init__(self, context: JobContext, budget_seconds: float | None = None) -> None:
        """`budget_seconds`: after which no trial is started."""
        self._context = context
        self._budget_seconds = budget_seconds
        self.candidates: dict[int, Candidate] = {}
        self.results: dict[int, TrialResult] = {}
        self.finish_requested = False
        self.promoted: int | None = None
        self.searching = False
        """Whether a search goes on once nothing is queued."""
        self.chosen: int | None = None
        """The best of the trials that a search asked for, by its own comparisons; the profile that a plan is for."""
        self.runner: TrialRunner | None = None
        """Set once there is one, so that a trial in progress can be stopped."""
        self._queue: list[int] = []
        self._running: int | None = None
        self._next_id = 0
        self._proposed: set[int] = set()
        context.handlers.update({
            c.AddCandidate: self._add, c.EditCandidate: self._edit, c.RemoveCandidate: self._remove,
            c.RunTrial: self._run, c.RunAll: self._run_all, c.StopTrial: self._stop_trial,
            c.Promote: self._promote, c.Finish: self._finish,
        })  # fmt: skip

    def close(self, why: str = "the study is over: this run trains now") -> None:
        """From now on no candidate is taken up or run: the worker goes on to something else."""

        def refuse(_: c.AnyCommand) -> str:
            raise Refused(why)

        self._context.handlers.update(dict.fromkeys(
            (c.AddCandidate, c.EditCandidate, c.RemoveCandidate, c.RunTrial, c.RunAll, c.StopTrial), refuse
        ))  # fmt: skip

    def begin(self) -> None:
        """A new study from the order, or the one that the log holds already."""
        before = self._context.before.study
        if before is None:
            order, search = self._context.order, self._context.settings.search
            self.candidates = {candidate.id: candidate for candidate in order.candidates}
            self._queue = list(self.candidates) if order.queued else []
            self.searching = order.mode == "auto" and order.queued
            self._context.emit(
                e.StudyStarted(
                    t=self._context.t,
                    mode=order.mode,
                    batches=search.batches,
                    candidates=order.candidates,
                    queued=order.queued,
                    memory_limit_bytes=order.memory_limit_bytes,
                    budget_seconds=self._budget_seconds,
                ),
                flush=True,
            )
            if order.note:
                self._context.notice(order.note)
        else:
            self._take_up(before.rows)
            self.promoted = before.promoted
            self._proposed = {d.trial for d in before.decisions if d.kind == "choose" and d.trial is not None}
            begun = self._context.order.queued or bool(self._proposed)
            self.searching = before.mode == "auto" and begun and not before.finished
        self._next_id = max(self.candidates, default=-1) + 1

    def _take_up(self, rows: tuple[TrialRow, ...]) -> None:
        for row in rows:
            self.candidates[row.candidate.id] = row.candidate
            if row.result is not None and row.status.finished:
                self.results[row.candidate.id] = row.result
            elif row.status is TrialStatus.QUEUED:
                self._queue.append(row.candidate.id)
            elif row.status is TrialStatus.RUNNING:
                lost = TrialResult(status=TrialStatus.FAILED, reason=LOST, seconds=0.0)
                self.finish_trial(row.candidate, lost)

    # -- what the job does -------------------------------------------------------------------------

    def next_queued(self) -> Candidate | None:
        """The candidate to try now; None when the queue is empty."""
        return self.candidates[self._queue[0]] if self._queue else None

    def start_trial(self, candidate: Candidate) -> None:
        """A trial begins; on disk before it can do any harm."""
        self._queue.remove(candidate.id)
        self._running = candidate.id
        self._context.emit(e.TrialStarted(t=self._context.t, trial=candidate.id), flush=True)

    def finish_trial(self, candidate: Candidate, result: TrialResult) -> None:
        """A trial has its result."""
        self._running = None
        self.results[candidate.id] = result
        self._context.emit(e.TrialFinished(t=self._context.t, trial=candidate.id, result=result), flush=True)

    def unqueue_all(self, reason: str) -> None:
        """There is no time for what is queued or would be searched for; each gets that as its result."""
        for trial in list(self._queue):
            self._unqueue(trial, TrialStatus.TIMED_OUT, reason)
        self.searching = False

    def _unqueue(self, trial: int, status: TrialStatus, reason: str) -> None:
        self._queue.remove(trial)
        result = self.results[trial] = TrialResult(status=status, reason=reason, seconds=0.0)
        self._context.emit(e.TrialFinished(t=self._context.t, trial=trial, result=result))

    def propose(self, values: dict[str, Scalar]) -> Candidate:
        """Queues what a search or a plan asks for; what is known already, as after a worker was replaced, not again.

        Raises:
            ConfigError: values that cannot work.
        """
        candidate = make_candidate(self._next_id, values, self._context.settings, "search")
        known = next((one for one in self.candidates.values() if one.values == candidate.values), None)
        if known is not None:
            self._proposed.add(known.id)
            if known.id not in self.results and known.id not in self._queue:
                self._enqueue(known.id)
            return known
        self._next_id += 1
        self._proposed.add(candidate.id)
        self.candidates[candidate.id] = candidate
        self._queue.append(candidate.id)
        self._context.emit(e.CandidateAdded(t=self._context.t, candidate=candidate, queued=True))
        return candidate

    def queued(self) -> list[Candidate]:
        """Those to be tried, in order."""
        return [self.candidates[trial] for trial in self._queue]

    def trials(self) -> list[Trial]:
        """Every candidate with a result."""
        return [Trial(candidate=self.candidates[trial], result=result) for trial, result in self.results.items()]

    def best(self) -> int | None:
        """The fastest trial that fits; of those that a search or a plan asked for, only the one that it has chosen."""
        chosen = self.results.get(self.chosen) if self.chosen is not None else None
        if chosen is None or chosen.status is not TrialStatus.OK:
            return None if self._context.order.mode == PLAN else best_trial(self.results.items())
        others = self._proposed - {self.chosen}
        return best_trial((trial, result) for trial, result in self.results.items() if trial not in others)

    # -- what commands do; each is called with its own type only ------------------------------------

    def _add(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.AddCandidate)
        if command.queued:
            self._require_time()
        candidate = self._make(self._next_id, command.values)
        self._next_id += 1
        self.candidates[candidate.id] = candidate
        if command.queued:
            self._queue.append(candidate.id)
        self._context.emit(e.CandidateAdded(t=self._context.t, candidate=candidate, queued=command.queued))
        return ""

    def _edit(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.EditCandidate)
        self._known(command.trial)
        if command.trial in self.results or command.trial == self._running:
            raise Refused(f"#{command.trial} has been run; duplicate it instead")
        candidate = self._make(command.trial, command.values)
        self.candidates[candidate.id] = candidate
        self._context.emit(e.CandidateEdited(t=self._context.t, candidate=candidate))
        return ""

    def _remove(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.RemoveCandidate)
        self._known(command.trial)
        if command.trial == self._running:
            raise Refused(f"#{command.trial} is running; stop it first")
        del self.candidates[command.trial]
        self.results.pop(command.trial, None)
        self._queue = [trial for trial in self._queue if trial != command.trial]
        self._context.emit(e.CandidateRemoved(t=self._context.t, trial=command.trial))
        return ""

    def _run(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.RunTrial)
        self._known(command.trial)
        if command.trial == self._running or command.trial in self._queue:
            raise Refused(f"#{command.trial} is {'running' if command.trial == self._running else 'queued'} already")
        self._require_time()
        self._enqueue(command.trial)
        return ""

    def _run_all(self, command: c.AnyCommand) -> str:
        fresh = [t for t in self.candidates if t not in self.results and t not in self._queue and t != self._running]
        waiting = self._context.order.mode == "auto" and not self.searching and not self._proposed
        if not fresh and not waiting:
            raise Refused("every candidate has a result or is queued")
        self._require_time()
        self.searching = self.searching or waiting
        for trial in fresh:
            self._enqueue(trial)
        return "the search begins" if waiting else f"{len(fresh)} queued"

    def _stop_trial(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.StopTrial)
        if command.trial == self._running and self.runner is not None:
            self.runner.stop_trial = command.trial
            return f"#{command.trial} after this step"
        if command.trial in self._queue:
            self._unqueue(command.trial, TrialStatus.PRUNED, "taken out of the queue")
            return f"#{command.trial} taken out of the queue"
        raise Refused(f"#{command.trial} is neither running nor queued")

    def _promote(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.Promote)
        candidate = self._known(command.trial)
        result = self.results.get(command.trial)
        if result is not None and result.status in (TrialStatus.OUT_OF_MEMORY, TrialStatus.FAILED):
            raise Refused(f"#{command.trial} did not work: {result.reason}")
        try:
            file = write_promoted(self._context.folder, self._context.settings, self._context.order, candidate)
        except OSError as error:
            where = error.filename or self._context.folder.path
            raise Refused(f"{where} cannot be written: {error.strerror or error}") from None
        self.promoted = candidate.id
        self._context.emit(e.TrialPromoted(t=self._context.t, trial=candidate.id, config_file=str(file)))
        return f"#{candidate.id}: {file.name} and train.sh written"

    def _finish(self, command: c.AnyCommand) -> str:
        self.finish_requested = True
        return ""

    def _require_time(self) -> None:
        """Refuses what no trial would be started for."""
        deadline = self.runner.deadline if self.runner is not None else None
        if deadline is not None and working_seconds() >= deadline:
            spent = f"the budget of {format_budget(self._budget_seconds)} is spent"
            raise Refused(f"{spent}: no trial is started any more")

    def _enqueue(self, trial: int) -> None:
        self.results.pop(trial, None)
        self._queue.append(trial)
        self._context.emit(e.TrialQueued(t=self._context.t, trial=trial))

    def _known(self, trial: int) -> Candidate:
        if trial not in self.candidates:
            raise Refused(f"there is no #{trial}")
        return self.candidates[trial]

    def _make(self, number: int, values: dict[str, Scalar]) -> Candidate:
        try:
            return make_candidate(number, values, self._context.settings, f"#{number}")
        except ConfigError as error:
            raise Refused(error.in_one) from None
