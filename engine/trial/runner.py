"""Runs trials, one after the other or two in turns, on a model that is loaded once."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Candidate, Measurement, TrialResult
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.trial.attempt import Attempt
from speedtui.engine.trial.compare import MOST_PAIRS, SpeedComparison, compare_candidates
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.trial.model_host import ModelHost


class TrialRunner(ModelHost):
    """What a study asks of the model it holds; after each of these it is as before, or the process is given up."""

    def run(self, candidate: Candidate, best: Measurement | None) -> TrialResult:
        """Tries a candidate; whatever happens in it is a result.

        Raises:
            JobStopped: the job is to end.
            SpeedtuiError: the model or the data of the run cannot be used.
        """
        started = working_seconds()
        self.stop_trial = None  # of another one, or of this one's last time
        settings = apply_candidate(candidate, self.context.settings)
        result = Attempt(self, candidate, settings).run(best)
        self.settle()
        return msgspec.structs.replace(result, seconds=round(working_seconds() - started, 3))

    def compare(self, incumbent: Candidate, challenger: Candidate, *, most_pairs: int = MOST_PAIRS) -> SpeedComparison:
        """Which of two candidates is faster, measured in turns; see `compare_candidates`.

        Raises:
            JobStopped: the job is to end.
            TrialEnded: one of the two failed, somebody stopped it, or the budget is spent.
            SpeedtuiError: the model or the data of the run cannot be used.
        """
        try:
            return compare_candidates(self, incumbent, challenger, most_pairs=most_pairs)
        finally:
            self.settle()

    def measure_costs(self, candidate: Candidate) -> RunCosts:
        """What a run with these settings costs besides its steps, measured anew by a few steps of it.

        Raises:
            JobStopped: the job is to end.
            TrialEnded: it failed or ran out of memory, somebody stopped it, or the budget is spent.
            SpeedtuiError: the model or the data of the run cannot be used.
        """
        settings = apply_candidate(candidate, self.context.settings)
        attempt = Attempt(self, candidate, settings)
        failure = attempt.guarded(attempt.measure_costs)
        self.settle()
        if failure is not None:
            raise TrialEnded(failure.status, failure.reason)
        assert self.workload is not None
        return self.run_costs(settings, attempt.start)
