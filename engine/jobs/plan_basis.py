"""What a plan's figures rest on: probes of this run, earlier runs, or a stated throughput."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.history.records import PastEvaluation, PastMeasurement
from speedtui.engine.jobs.job_history import JobHistory
from speedtui.engine.jobs.tune import Tuning
from speedtui.engine.memory.build import build_model, config_of
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.plan.forecast import Forecast, stated_curve
from speedtui.engine.plan.resolved_profiles import ResolvedProfile
from speedtui.engine.plan.rows import Answered, Basis
from speedtui.engine.profile.profile import UNMEASURED_SHARE
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.timing.durations import ONE_SPREAD
from speedtui.engine.timing.workload_shape import shape_of
from speedtui.engine.trial.failures import TrialEnded
from speedtui.engine.units import format_budget, format_count
from speedtui.engine.workload.data_cache import DataCache
from speedtui.engine.workload.evaluation_batch import generation_rows
from speedtui.engine.workload.quantized import parameter_count

UNFINISHED = (TrialStatus.TIMED_OUT, TrialStatus.PRUNED)
"""Without a curve these say nothing of the configuration."""
UNKNOWN_SPEED = "nothing is known of its speed"


class PlanBases:
    """Finds a basis for each case."""

    def __init__(self, context: JobContext, cache: DataCache, history: JobHistory, *, here: bool) -> None:
        """`here`: the device is this one, so that what was measured on it counts."""
        self._context = context
        self._data_cache = cache
        self._history = history
        self._here = here
        self._known_parameters: int | None = None

    def probed(self, tuning: Tuning, cases: list[ResolvedProfile], selected: str) -> dict[str, Basis]:
        """Tries each case that may fit, the selected one first and equal ones once.

        Raises:
            JobStopped: the job is to end.
        """
        first = sorted(cases, key=lambda case: case.profile.name != selected)
        proposed = _propose(tuning, first, self._context.settings)
        closely = proposed.get(selected)
        tuning.study.chosen = closely.id if closely is not None else None
        tuning.run_queue()
        tuning.study.close("the plan's probes are made: nothing more is tried")
        beginning = self._costs(tuning, closely) if closely is not None else RunCosts()
        found = {}
        for case in cases:
            candidate = proposed.get(case.profile.name)
            result = tuning.study.results.get(candidate.id) if candidate is not None else None
            if candidate is None:
                found[case.profile.name] = Basis(source="model", note="not tried: it is not expected to fit")
                continue
            if result is None or (result.curve is None and result.status in UNFINISHED):
                found[case.profile.name] = self._left_out(case, tuning, beginning, result)
                continue
            costs = beginning if candidate is closely else tuning.runner.run_costs(case.settings, beginning)
            found[case.profile.name] = self._measured(case, result, costs)
        return found

    def _left_out(
        self, case: ResolvedProfile, tuning: Tuning, beginning: RunCosts, result: TrialResult | None
    ) -> Basis:
        """Of a profile that there was no time for, or whose trial somebody stopped: an earlier run, else what another
        profile's trial showed, else what is stated."""
        note = f"not measured within the plan's {format_budget(tuning.budget_seconds)}"
        if result is not None and result.status is TrialStatus.PRUNED:
            note = f"not measured: {result.reason}"
        basis = self.recalled(case)
        if basis.source != "history" or (basis.age_seconds or 0.0) < self._context.t:  # which is this plan's own
            study = tuning.study
            curves = [trial for trial, result in study.results.items() if result.curve is not None]
            if curves:
                label = study.candidates[curves[0]].label
                costs = tuning.runner.run_costs(case.settings, beginning)
                basis = self._carried_over(case, study.results[curves[0]], costs, label)
        return msgspec.structs.replace(basis, note="; ".join(text for text in (note, basis.note) if text))

    def of_study(self, tuning: Tuning, cases: list[ResolvedProfile]) -> dict[str, Basis]:
        """From the trials of a study that is over: the very settings, else the curve of its best one."""
        study, settings = tuning.study, self._context.settings
        trials = {
            ResolvedProfile(profile=case.profile, settings=apply_candidate(candidate, settings)).step_key: trial
            for case in cases[:1]
            for trial, candidate in study.candidates.items()
        }
        best = study.best()
        found = {}
        for case in cases:
            trial = trials.get(case.step_key, -1)
            result = study.results.get(trial)
            if result is not None and result.curve is not None:
                found[case.profile.name] = self._measured(case, result, self._known_costs(tuning, case))
            elif best is not None and study.results[best].curve is not None:
                label = f"#{best}, {study.candidates[best].label}"
                found[case.profile.name] = self._carried_over(
                    case, study.results[best], self._known_costs(tuning, case), label
                )
            else:
                found[case.profile.name] = self.recalled(case)
        return found

    def _costs(self, tuning: Tuning, candidate: Candidate) -> RunCosts:
        """What the run costs besides its steps, measured anew; what is known already where that fails."""
        result = tuning.study.results.get(candidate.id)
        if result is not None and result.curve is not None and not tuning.runner.over_budget:
            try:
                return tuning.runner.measure_costs(candidate)
            except TrialEnded:
                pass  # its trial had room for it; the costs of that trial do
        return tuning.runner.run_costs(apply_candidate(candidate, self._context.settings), RunCosts())

    def _known_costs(self, tuning: Tuning, case: ResolvedProfile) -> RunCosts:
        return tuning.runner.run_costs(case.settings, RunCosts())

    def _measured(self, case: ResolvedProfile, result: TrialResult, costs: RunCosts) -> Basis:
        """From a probe; without a time where it ran out of memory or failed."""
        if result.curve is None:
            return Basis(source="measured", result=result, note=result.reason)
        note = result.reason if result.status not in (TrialStatus.OK, TrialStatus.PRUNED) else ""
        costs, answers = self._answered(case, costs)
        forecast = Forecast(
            result.curve, costs, self._data_cache.get, source="measured", eval_rows=self._eval_rows(case.settings)
        )
        return Basis(source="measured", forecast=forecast, result=result, note=note, answers=answers)

    def _carried_over(self, case: ResolvedProfile, result: TrialResult, costs: RunCosts, label: str) -> Basis:
        """From the probe of another configuration: its curve, at this case's micro-batch."""
        assert result.curve is not None
        costs, answers = self._answered(case, costs)
        forecast = Forecast(
            result.curve, costs, self._data_cache.get, source="model", eval_rows=self._eval_rows(case.settings)
        )
        return Basis(source="model", forecast=forecast, note=f"computed from the curve of {label}", answers=answers)

    def _answered(self, case: ResolvedProfile, costs: RunCosts) -> tuple[RunCosts, Answered | None]:
        """With answers and scores as a run had them, which knows how long a model that learns really writes; what was
        rehearsed stands where there was no such run. Also what they rest on.
        """
        settings = case.settings
        workload, schedule = self._data_cache.get(settings), settings.schedule
        rows = workload.facts.eval_rows
        if not rows or schedule.eval_every == "never":
            return costs, None
        past = None
        if self._here:
            at_a_time = generation_rows(settings, workload)
            past = self._history.past_evaluation(settings, self._parameters(settings), at_a_time)
        if past is None or (not past.evaluations and costs.generate_seconds is not None):
            return costs, Answered(source="measured") if costs.generate_seconds is not None else None
        return past_costs(past, rows, costs), Answered(source="history", age_seconds=past.age_seconds)

    def recalled(self, case: ResolvedProfile) -> Basis:
        """From an earlier run on this device, else from what the profile states."""
        past = self._past(case) if self._here else None
        if past is None or past.curve is None:
            return self._stated(case)
        rows = self._eval_rows(case.settings)
        per_row = past.eval_seconds_per_row
        costs = RunCosts(
            load_seconds=past.load_seconds,
            eval_seconds=per_row * rows if per_row is not None and rows else None,
            save_seconds=past.save_seconds,
            final_seconds=past.final_seconds,
        )
        costs, answers = self._answered(case, costs)
        forecast = Forecast(past.curve, costs, self._data_cache.get, source="history", eval_rows=rows)
        return Basis(source="history", forecast=forecast, age_seconds=past.age_seconds, answers=answers)

    def _stated(self, case: ResolvedProfile) -> Basis:
        baseline = case.profile.baseline
        data = self._data_cache.get(case.settings)
        if baseline.tokens_per_second is None or data.lengths is None:
            return Basis(source="model", note=UNKNOWN_SPEED)
        if baseline.device and self._here and all(device.kind == "cpu" for device in self._context.devices):
            return Basis(
                source="model",
                note=f"{UNKNOWN_SPEED} on this CPU: the profile's {format_count(baseline.tokens_per_second)} tok/s are "
                f"of {baseline.device}",
            )
        rate = UNMEASURED_SHARE * baseline.tokens_per_second
        curve = stated_curve(rate, shape_of(data, case.settings))
        forecast = Forecast(curve, RunCosts(), self._data_cache.get, source="model", eval_rows=data.facts.eval_rows)
        note = (
            f"{UNMEASURED_SHARE:g} x the {format_count(baseline.tokens_per_second)} tok/s stated for "
            f"{baseline.device or 'it'}, not measured; evaluations and saves not counted"
        )
        return Basis(source="model", forecast=forecast, note=note)

    def _past(self, case: ResolvedProfile) -> PastMeasurement | None:
        return self._history.measurement(case.settings, self._parameters(case.settings), case.profile.name)

    def _parameters(self, settings: Settings) -> int | None:
        """Of the model, from its config alone where it is not loaded; None where that cannot be told."""
        if self._context.loaded is not None:
            return self._context.loaded.parameters
        if self._known_parameters is None and settings.model.kind != "python":
            vocabulary = self._data_cache.get(settings).vocabulary
            request = MemoryRequest(settings=settings, longest_tokens=1, vocabulary=vocabulary)
            try:
                model = build_model(config_of(request), settings.model)
            except SpeedtuiError:
                return None
            self._known_parameters = parameter_count(model.parameters())
        return self._known_parameters

    def _eval_rows(self, settings: Settings) -> int | None:
        return self._data_cache.get(settings).facts.eval_rows


def past_costs(past: PastEvaluation, rows: int, costs: RunCosts) -> RunCosts:
    """With what an earlier evaluation's answers and scores took, for so many rows; its loss where that is not known."""
    share = rows / past.rows
    found = {
        "generate_seconds": past.generate_seconds, "metric_seconds": past.metric_seconds,
        "eval_seconds": past.eval_seconds if costs.eval_seconds is None else None,
    }  # fmt: skip
    known = {name: seconds * share for name, seconds in found.items() if seconds is not None}
    spread = ONE_SPREAD if past.evaluations else costs.answers_spread
    return msgspec.structs.replace(costs, answers_spread=spread, answer_tokens=None, **known)


def _propose(tuning: Tuning, cases: list[ResolvedProfile], settings: Settings) -> dict[str, Candidate]:
    """By profile; cases whose steps are the same share one."""
    by_key: dict[bytes, Candidate] = {}
    proposed = {}
    for case in cases:
        if case.expected is not None and case.expected.fits is False:
            continue
        if case.step_key not in by_key:
            by_key[case.step_key] = tuning.study.propose(case.values(settings))
        proposed[case.profile.name] = by_key[case.step_key]
    return proposed
