"""The job `plan`: every profile against the device, the data and the window, measured where the device is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine import events as e
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.errors import ExitCode, NothingFits, SpeedtuiError
from speedtui.engine.jobs.device import settle_attention
from speedtui.engine.jobs.first_load import first_load
from speedtui.engine.jobs.job_history import JobHistory
from speedtui.engine.jobs.result import JobResult, late
from speedtui.engine.jobs.tune import Tuning
from speedtui.engine.memory.peak_model import Calibration, MemoryRequest
from speedtui.engine.plan.report import plan_document
from speedtui.engine.plan_types import Choice, Plan, ProfileRow
from speedtui.engine.profile.load import list_profiles
from speedtui.engine.profile.profile import EFFECTIVE_BATCH, MAX_LENGTH, MAX_STEPS
from speedtui.engine.profile.select import choose
from speedtui.engine.report.files import REPORT_NAME, write_json
from speedtui.engine.report.promote import SCRIPT_NAME, write_planned
from speedtui.engine.units import format_size, format_span, parse_duration
from speedtui.engine.workload.imports import uncollected

if TYPE_CHECKING:
    from torch import nn

    from speedtui.engine.config.window import Window
    from speedtui.engine.plan.assemble import PlanAndSettings
    from speedtui.engine.plan.expectations import Expectations
    from speedtui.engine.plan.resolved_profiles import ResolvedProfile
    from speedtui.engine.plan.rows import Basis
    from speedtui.engine.profile.levers import Facts
    from speedtui.engine.workload.base import Workload
    from speedtui.engine.workload.data_cache import DataCache


BUDGET_SECONDS = 600.0
"""For measuring where nothing else is said: what a person waits for."""
BUDGET_SHARE, LEAST_SECONDS = 0.1, 60.0
"""Of the window that is planned for, which goes on meanwhile; and the least, in which a profile can be measured."""


def run_plan(context: JobContext) -> JobResult:
    """Plans, writes report.json and train.sh, and says whether it fits.

    Raises:
        JobStopped: it was asked to end.
        NothingFits: no profile fits in memory.
        SpeedtuiError: the model or the data cannot be used.
    """
    return Planning(context).run()


def measuring_seconds(budget: str | None, window: Window | None, now: float) -> float:
    """What a plan measures in: what is said, else ten minutes or, of a short window, a tenth of it.

    `now`: wall clock, seconds since the epoch.
    """
    if budget is not None:
        return parse_duration(budget)
    if window is None:
        return BUDGET_SECONDS
    return min(BUDGET_SECONDS, max((window.safe_until - now) * BUDGET_SHARE, LEAST_SECONDS))


class Planning:
    """A plan in the making."""

    def __init__(self, context: JobContext, tuning: Tuning | None = None) -> None:
        """`tuning`: a study that is over, whose model and results are used and nothing new is tried."""
        self._context = context
        self._order = context.order.plan or PlanOrder(written=(EFFECTIVE_BATCH,))
        self._settings = context.settings
        self._history = JobHistory(context)
        self._calibration = self._history.calibration() or Calibration()
        self._study = tuning
        self._tuning = tuning
        if tuning is None and self._order.measure:
            budget = measuring_seconds(self._settings.search.budget, context.order.window, context.clock.started_at)
            self._tuning = Tuning(context, budget)
            self._tuning.start()

    def run(self) -> JobResult:
        """From loading to the files.

        Raises:
            NothingFits: no profile fits in memory.
        """
        answer = self.make()
        plan, row = answer.plan, answer.plan.row
        assert row is not None
        self._write(answer, row)
        if all(other.fit == "no_memory" for other in plan.profiles):
            raise NothingFits("no profile fits in memory", _smaller(plan, self._settings))
        return self._result(plan, row)

    def make(self) -> PlanAndSettings:
        """The plan, told as events."""
        from speedtui.engine.plan.assemble import PlanRequest, assemble
        from speedtui.engine.plan.data_facts import facts_of

        cache = self._load_data()
        whole = self._uncut(cache)
        choice = choose(whole.facts.train_rows, whole.facts.mean_tokens, whole.facts.longest_side)
        selected = self._order.profile or choice.profile
        expectations, facts = self._expectations(cache), facts_of(whole)
        cases = self._cases(choice, whole, expectations, facts, cache)
        bases = self._bases(cases, selected, cache)
        question = PlanRequest(
            settings=self._settings, now=self._context.clock.wall(self._context.t),
            window=self._context.order.window, device=self._device, device_here=not self._order.device,
            limit_bytes=self._context.order.memory_limit_bytes, data=whole.facts,
            choice=choice, selected=selected,
        )  # fmt: skip
        self._context.progress("planning", 0, None)
        answer = assemble(question, cases, bases, cache.get, facts, expectations.memory)
        self._context.emit(e.PlanMade(t=self._context.t, plan=answer.plan), flush=True)
        for advice in answer.plan.advice:
            self._context.emit(e.AdviceGiven(t=self._context.t, advice=advice))
        return answer

    @property
    def _device(self) -> str:
        devices = self._context.devices
        return self._order.device or (devices[0].name if devices else "unknown")

    def _load_data(self) -> DataCache:
        """The data, with the model where something is measured."""
        self._context.progress("importing torch", 0, None)
        with self._context.phases.phase("load"):
            with uncollected():
                from speedtui.engine.timing.possible import require_possible
                from speedtui.engine.workload.data_cache import DataCache
                from speedtui.engine.workload.load import load_data
                from speedtui.engine.workload.positions import places_of, positions_of

            settle_attention(self._context)
        self._settings = self._context.settings
        if self._tuning is not None:
            with first_load(self._settings, self._tuning.runner.device):
                workload = self._tuning.runner.load(self._settings)
        else:
            with self._context.phases.phase("load"):
                workload = load_data(self._settings, self._context.progress)
                workload.model = self._empty_model(workload)
                require_possible(self._settings, workload)
        self._places, self._made_for = places_of(workload.model), positions_of(workload.model)
        return DataCache(workload, self._settings, self._context.progress)

    def _empty_model(self, workload: Workload) -> nn.Module:
        """What can be told of the model without its weights; nothing at all where it cannot be built so."""
        from speedtui.engine.memory.build import build_model, config_of

        if self._settings.model.kind == "python":
            return workload.model
        request = MemoryRequest(settings=self._settings, longest_tokens=1, vocabulary=workload.vocabulary)
        try:
            return build_model(config_of(request), self._settings.model)
        except SpeedtuiError:
            return workload.model

    def _uncut(self, cache: DataCache) -> Workload:
        """The data at the largest maximum length that a profile has."""
        asked = [int(p.values[MAX_LENGTH]) for p in list_profiles().profiles if MAX_LENGTH in p.values]
        widest = max(*asked, self._settings.data.max_length)
        if self._settings.model.kind == "python":
            return cache.get(self._settings)
        values = {MAX_LENGTH: widest, "data.packing": False}
        return cache.get(with_values(self._settings, values, "plan"))

    def _expectations(self, cache: DataCache) -> Expectations:
        """As the study inside predicts; of a model that is not loaded the mask is counted."""
        from speedtui.engine.jobs.predicting import device_of, free_bytes, planned_device
        from speedtui.engine.plan.expectations import Expectations
        from speedtui.engine.search.space import with_mask

        limit, without_mask = self._context.order.memory_limit_bytes, with_mask
        calibration = Calibration() if self._order.device else self._calibration
        if self._tuning is not None:
            limit = free_bytes(self._tuning.runner, self._context)
            (device, capability), without_mask = device_of(self._tuning.runner.device), self._tuning.runner.without_mask
        else:
            device, capability = planned_device(self._context)
        return Expectations(
            cache.get, limit, calibration, self._context.progress, device=device, capability=capability,
            without_mask=without_mask,
        )  # fmt: skip

    def _cases(
        self, choice: Choice, whole: Workload, expectations: Expectations, facts: Facts, cache: DataCache
    ) -> list[ResolvedProfile]:  # fmt: skip
        from speedtui.engine.plan.profile_limits import within
        from speedtui.engine.plan.resolved_profiles import lay_over, resolve

        listed = list_profiles()
        for problem in listed.problems:
            self._context.notice(problem, level="warning")
        written, data = frozenset(self._order.written), whole.facts
        laid = [
            lay_over(profile, self._settings, choice, mean_tokens=data.mean_tokens, uncut_tokens=data.longest_side,
                     written=written)
            for profile in listed.profiles
        ]  # fmt: skip
        laid = [
            within(case, cache.get, self._places, made_for=self._made_for, own_length=self._settings.data.max_length)
            for case in laid
        ]
        expectations.prepare([case.settings for case in laid])
        if expectations.problem:
            self._context.notice(f"memory cannot be predicted: {expectations.problem}", hint="Probes measure it.")
        cases = [resolve(case, expectations.of, expectations.memory, facts) for case in laid]
        for case in cases:
            self._tell_expected(case, expectations)
        return cases

    def _tell_expected(self, case: ResolvedProfile, expectations: Expectations) -> None:
        expected = case.expected
        if expected is not None:
            self._context.emit(
                e.MemoryPredicted(
                    t=self._context.t, label=case.profile.name,
                    micro_batch_size=case.settings.train.micro_batch_size, predicted_bytes=expected.peak_bytes,
                    breakdown=expected.breakdown, limit_bytes=expectations.free_bytes,
                )
            )  # fmt: skip

    def _bases(self, cases: list[ResolvedProfile], selected: str, cache: DataCache) -> dict[str, Basis]:
        """By profile."""
        from speedtui.engine.jobs.plan_basis import PlanBases

        bases = PlanBases(self._context, cache, self._history, here=not self._order.device)
        if self._study is not None:
            return bases.of_study(self._study, cases)
        if self._tuning is not None:
            return bases.probed(self._tuning, cases, selected)
        return {case.profile.name: bases.recalled(case) for case in cases}

    def _write(self, answer: PlanAndSettings, row: ProfileRow) -> None:
        """report.json, train.toml and train.sh; one that cannot be written is a notice."""
        context, folder = self._context, self._context.folder
        document = plan_document(answer.plan, folder.id, context.order.window, context.versions)
        try:
            write_json(folder.path / REPORT_NAME, document)
            if row.fit != "no_memory":
                write_planned(folder, answer.settings, context.order, row.profile)
        except OSError as error:
            where = error.filename or folder.path
            context.notice(f"{where} could not be written: {error.strerror}", level="warning", hint="Make room.")

    def _result(self, plan: Plan, row: ProfileRow) -> JobResult:
        if row.fit == "no_memory":
            fitting = [other.profile for other in plan.profiles if other.fit != "no_memory"]
            return JobResult(
                outcome="no_fit", exit_code=ExitCode.NO_FIT, reason=f"profile {row.profile} does not fit in memory",
                next=f"These do: {', '.join(fitting)}. Take one with --profile.",
            )  # fmt: skip
        cut = next((change for change in row.changes if change.path == MAX_STEPS), None)
        if cut is not None:
            reason = f"the window cannot be met: only {cut.after} steps of profile {row.profile} fit in it"
            return late(reason, f"{_what_would_fit(plan)} train.sh makes those {cut.after} steps.")
        if row.fit == "late":
            over = format_span(-(row.spare_seconds or 0.0))
            return late(f"profile {row.profile} ends {over} past the latest safe finish", _what_would_fit(plan))
        there = f" on the device of {self._order.device}" if self._order.device else ""
        return JobResult(next=f"Train as planned{there}: sh {self._context.folder.path / SCRIPT_NAME}")


def _what_would_fit(plan: Plan) -> str:
    fitting = [row.profile for row in plan.profiles if row.fit == "fits" and row.profile != plan.selected]
    if fitting:
        return f"These profiles fit: {', '.join(fitting)}. Take one with --profile."
    goals = [goal.text for goal in plan.goals if goal.value > 0]
    return f"What would fit: {'; '.join(goals)}." if goals else "Nothing fits this window: lengthen it."


def _smaller(plan: Plan, settings: Settings) -> str:
    """The least that is needed, and what has not been done about it yet."""
    rows = [row for row in plan.profiles if row.peak_bytes is not None]
    if not rows:
        return "Take a smaller model."
    least = min(rows, key=lambda row: row.peak_bytes or 0)
    text = f"The least is {format_size(least.peak_bytes)} of {format_size(plan.limit_bytes)}"
    weights = least.breakdown.weights_bytes if least.breakdown is not None else 0
    if plan.limit_bytes is not None and weights > plan.limit_bytes:
        fewer_bits = settings.model.kind != "python" and settings.model.quantize == "none"
        bits = ' or model.quantize = "nf4"' if fewer_bits and settings.train.method == "lora" else ""
        return f"{text}; the weights alone take {format_size(weights)}. Take a smaller model or model.dtype{bits}."
    method = 'Take train.method = "lora", or s' if settings.train.method == "full" else "S"
    return f"{text}. {method}horten data.max_length, or take a smaller model."
