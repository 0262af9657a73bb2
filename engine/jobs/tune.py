"""The job `tune`: run the queue of candidates on a model that is loaded once, then wait for more or end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, Measurement, Memory, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.errors import NothingFits
from speedtui.engine.jobs.device import settle_attention, settle_device
from speedtui.engine.jobs.first_load import first_load
from speedtui.engine.jobs.job_history import JobHistory
from speedtui.engine.jobs.predicting import Predictor
from speedtui.engine.jobs.result import JobResult, WorkerSpent, failed
from speedtui.engine.jobs.searching import Search
from speedtui.engine.jobs.study import Study
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.report.files import write_study_files
from speedtui.engine.report.promote import SCRIPT_NAME
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.search.sampled import sampled_classes
from speedtui.engine.state.study import PLAN
from speedtui.engine.units import format_budget, parse_duration
from speedtui.engine.workload.imports import uncollected

if TYPE_CHECKING:
    from speedtui.engine.trial.runner import TrialRunner

MEASURING = "measuring profiles"
"""What a plan is at while its profiles are tried."""
HOLD_SECONDS = 0.1
"""Between two looks at the commands while nothing is queued."""
UNWATCHED_SECONDS = 10.0
"""A held worker that no session has looked at for this long ends by itself."""


def run_tune(context: JobContext) -> JobResult:
    """Runs the study to its end, and goes on for as long as somebody may add to it.

    Raises:
        JobStopped: it was asked to end.
        NothingFits: there is no memory for the model, or every trial ran out of it.
        WorkerSpent: another worker has to go on.
    """
    tuning = Tuning(context)
    tuning.start()
    tuning.run_queue()
    if context.order.hold:
        tuning.hold()
    return tuning.result()


class Tuning:
    """A study in progress."""

    def __init__(self, context: JobContext, budget_seconds: float | None = None) -> None:
        """`budget_seconds`: in place of the settings' search.budget."""
        self.context = context
        budget = context.settings.search.budget
        self.budget_seconds = parse_duration(budget) if budget and budget_seconds is None else budget_seconds
        self.study = Study(context, self.budget_seconds)
        self._history = JobHistory(context)
        self._runner: TrialRunner | None = None
        self._predictor: Predictor | None = None
        self._search: Search | None = None
        self._started = working_seconds()
        self._spent = ""

    @property
    def runner(self) -> TrialRunner:
        """Made when the first trial needs it: importing torch takes seconds."""
        if self._runner is None:
            self.context.progress("importing torch", 0, None)
            with self.context.phases.phase("load"):
                with uncollected():
                    from speedtui.engine.trial.runner import TrialRunner

                settle_attention(self.context)
                self._runner = TrialRunner(self.context, settle_device(self.context))
            if self.budget_seconds is not None:
                self._runner.deadline = self._started + self.budget_seconds
            self.study.runner = self._runner
        return self._runner

    def start(self) -> None:
        """Tells of the study, or takes up the one that an earlier worker left."""
        self.study.begin()

    def run_queue(self) -> None:
        """Tries the queued candidates one after the other, then what a search wants to see."""
        ran = self.study.searching
        while self._advance():
            ran = True
        if ran or self._spent:
            self._finish()

    def _advance(self) -> bool:
        """Does the next thing; False where nothing is queued, the search is over or the budget is spent.

        Commands that came meanwhile may have changed the queue.
        """
        self.context.poll()
        waiting = self.study.next_queued()
        if (waiting is None and not self.study.searching) or self._over_budget():
            return False
        predictor = self._ready(waiting)
        candidate = self.study.next_queued()
        if candidate is not None:
            self._try(candidate, predictor)
            return True
        return self.study.searching and self._search_on(predictor)

    def _ready(self, candidate: Candidate | None) -> Predictor:
        """The model is loaded, and what is queued has its memory predicted.

        Raises:
            NothingFits: there is no memory for the model.
        """
        if self.runner.workload is None:
            settings = self._first_settings(candidate)
            with first_load(settings, self.runner.device):
                self.runner.load(settings)
        if self._predictor is None:
            self._predictor = Predictor(self.context, self.runner, self._history.calibration())
            self._expect(self._predictor)
        return self._predictor

    def _expect(self, predictor: Predictor) -> None:
        """Predicts every candidate there is; what an earlier worker of the run measured corrects it."""
        known = self.study.candidates.values()
        predictor.prepare([apply_candidate(candidate, self.context.settings) for candidate in known])
        for trial, result in self.study.results.items():
            predictor.learn(self.study.candidates[trial], result, tell=False)
        for candidate in self.study.queued():
            predictor.tell(candidate)

    def _search_on(self, predictor: Predictor) -> bool:
        if self._search is None:
            self._search = Search(self.context, self.study, self.runner, predictor)
        try:
            going = self._search.step()
        except JobStopped as stopped:
            self._stopped(stopped)
            raise
        if self.runner.poisoned:
            raise WorkerSpent(self.runner.poisoned)
        return going

    def hold(self) -> None:
        """Keeps the model and waits: for commands, for a request to end, or until nobody looks any more."""
        unwatched_since: float | None = None
        while not self.study.finish_requested:
            self.context.poll()
            if self.study.next_queued() is not None or self.study.searching:
                self.run_queue()
            time.sleep(HOLD_SECONDS)
            now = time.monotonic()
            unwatched_since = None if self.context.folder.watched() is not False else unwatched_since or now
            if unwatched_since is not None and now - unwatched_since > UNWATCHED_SECONDS:
                return

    def result(self) -> JobResult:
        """How the job ends.

        Raises:
            NothingFits: trials were run and every one of them ran out of memory.
        """
        if self.study.best() is not None:
            return JobResult(next=f"Train with the best settings: sh {self.context.folder.path / SCRIPT_NAME}")
        results = self.study.results
        if self._search is not None:
            self._search.require_fit()
        if results and all(r.status is TrialStatus.OUT_OF_MEMORY for r in results.values()):
            raise NothingFits(
                "no candidate fits in memory",
                "Try a smaller micro-batch, gradient checkpointing, a shorter data.max_length, or method lora.",
            )
        if self._spent:
            advice = f"Give more than search.budget {self.context.settings.search.budget}."
            return failed(f"{self._spent} before any trial was done", advice)
        first = next((t for t, r in results.items() if r.status in (TrialStatus.FAILED, TrialStatus.TIMED_OUT)), None)
        if first is None:
            return JobResult()
        tracebacks = f"The tracebacks are in {self.context.folder.worker_log}."
        return failed(f"no trial succeeded; #{first}: {results[first].reason}", tracebacks)

    @property
    def left_seconds(self) -> float | None:
        """Of the budget; None where there is none."""
        return (
            None if self.budget_seconds is None else max(self._started + self.budget_seconds - working_seconds(), 0.0)
        )

    def _tell_left(self) -> None:
        """How many profiles of a plan are measured, and about when the others will be: by those, else by the budget."""
        took = [result.seconds for result in self.study.results.values()]
        waiting = len(self.study.queued())
        by_those = waiting * sum(took) / len(took) if took else None
        known = [left for left in (by_those, self.left_seconds) if left is not None]
        self.context.progress(MEASURING, len(took), len(took) + waiting, min(known, default=None))

    def _over_budget(self) -> bool:
        deadline = self.runner.deadline
        if deadline is None or working_seconds() < deadline:
            return False
        self._spent = f"the budget of {format_budget(deadline - self._started)} is spent"
        self.study.unqueue_all(self._spent)
        return True

    def _try(self, candidate: Candidate, predictor: Predictor) -> None:
        runner = self.runner
        if self.context.order.mode == PLAN:
            self._tell_left()
        predictor.prepare([apply_candidate(candidate, self.context.settings)])
        predictor.tell(candidate)
        self.study.start_trial(candidate)
        try:
            result = runner.run(candidate, self._incumbent())
        except JobStopped as stopped:
            self.study.finish_trial(candidate, _interrupted())
            self._stopped(stopped)
            raise
        self.study.finish_trial(candidate, result)
        predictor.learn(candidate, result)
        self._remember(candidate, result, predictor)
        if runner.poisoned:
            raise WorkerSpent(runner.poisoned)

    def _remember(self, candidate: Candidate, result: TrialResult, predictor: Predictor) -> None:
        settings = apply_candidate(candidate, self.context.settings)
        costs = self.runner.run_costs(settings, RunCosts())
        self._history.trial(
            candidate, settings, result, costs=costs, predicted_bytes=predictor.predicted_bytes(candidate)
        )
        if costs.generate_seconds is not None:
            self._history.evaluations(settings, costs, count=0, at_a_time=self.runner.answered_at_a_time(settings))

    def _stopped(self, stopped: JobStopped) -> None:
        if stopped.save:
            self._finish("stopped on request")

    def _first_settings(self, candidate: Candidate | None) -> Settings:
        """What is loaded before the first trial: the run's own, so that a fault in them is not taken for a trial's.

        A recipe's knobs may have no value outside of the candidates.
        """
        settings = self.context.settings
        if settings.model.kind != "python":
            return settings
        if candidate is not None:
            return apply_candidate(candidate, settings)
        return next(iter(sampled_classes(settings)), settings)

    def _incumbent(self) -> Measurement | None:
        """What a trial has to beat; nothing in a plan, whose profiles are no alternatives of one run."""
        if self.context.order.mode == PLAN:
            return None
        best = self.study.best()
        return self.study.results[best].measurement if best is not None else None

    def _finish(self, reason: str = "") -> None:
        files = write_study_files(self.context, self.study)
        self.context.emit(
            e.StudyFinished(t=self.context.t, best=self.study.best(), reason=reason or self._spent, files=files),
            flush=True,
        )


def _interrupted() -> TrialResult:
    return TrialResult(
        status=TrialStatus.PRUNED, reason="the run was stopped during this trial", seconds=0.0, memory=Memory()
    )
