"""Cases and what they rest on become the plan: rows, schedules, goals, savings, advice."""

from __future__ import annotations

import msgspec

from speedtui.engine.advise.advise import advise
from speedtui.engine.advise.rule_input import MemoryOption, RuleInput
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.hardware.limits import usable_cores
from speedtui.engine.memory.peak_model import MARGIN
from speedtui.engine.plan.forecast import DataFor, Forecast
from speedtui.engine.plan.goals import seek_goals
from speedtui.engine.plan.profile_limits import within_steps
from speedtui.engine.plan.resolved_profiles import ResolvedProfile
from speedtui.engine.plan.rows import Basis, profile_row
from speedtui.engine.plan.schedules import schedules
from speedtui.engine.plan.tables import checkpoint_frequencies, eval_frequencies
from speedtui.engine.plan_types import Choice, Plan, ProfileRow, Saving
from speedtui.engine.profile.fit import fit_to_window
from speedtui.engine.profile.levers import Facts, MemoryOf
from speedtui.engine.timing.workload_shape import grouping_saving, packing_saving
from speedtui.engine.workload.base import DataFacts, Workload


class PlanRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is for."""

    settings: Settings
    """As the user has them."""
    now: float
    """Wall clock when the run would start, seconds since the epoch."""
    window: Window | None
    device: str
    device_here: bool
    limit_bytes: int | None
    data: DataFacts
    """Of the samples before any cutting."""
    choice: Choice
    selected: str
    """The profile to be looked at closely."""


class PlanAndSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The plan, and the selected profile's settings with everything that was given up."""

    plan: Plan
    settings: Settings


def assemble(
    question: PlanRequest,
    cases: list[ResolvedProfile],
    bases: dict[str, Basis],
    data_for: DataFor,
    facts: Facts,
    memory: MemoryOf,
) -> PlanAndSettings:
    """`bases`: by the profile's name; `facts`: of the samples before any cutting."""
    closely = next(case for case in cases if case.profile.name == question.selected)
    basis = bases[question.selected]
    closely = _fitted(closely, basis.forecast, question, data_for, facts, memory)
    cases = [closely if case.profile.name == question.selected else case for case in cases]
    data = data_for(closely.settings)
    rows = [
        profile_row(
            case, bases[case.profile.name], question.settings, window=question.window, now=question.now,
            limit_bytes=question.limit_bytes, train_rows=data_for(case.settings).facts.train_rows,
        )
        for case in cases
    ]  # fmt: skip
    plan = Plan(
        made_at=question.now,
        device=question.device,
        device_here=question.device_here,
        limit_bytes=question.limit_bytes,
        train_rows=question.data.train_rows,
        mean_tokens=question.data.mean_tokens,
        longest_tokens=question.data.longest_tokens,
        total_tokens=question.data.total_tokens,
        longest_target_tokens=question.data.longest_target_tokens,
        mean_target_tokens=question.data.mean_target_tokens,
        choice=question.choice,
        selected=question.selected,
        profiles=rows,
        held_out_rows=data.facts.held_out_rows,
        cut_rows=data.facts.cut_rows,
        dropped_rows=data.facts.dropped_rows,
        eval_cut_rows=data.facts.eval_cut_rows,
        eval_dropped_rows=data.facts.eval_dropped_rows,
    )
    row = plan.row
    if basis.forecast is not None and row is not None and row.fit != "no_memory":
        plan = _with_schedules(plan, closely.settings, basis.forecast, question, data)
    return PlanAndSettings(plan=_with_advice(plan, closely, basis, question, memory), settings=closely.settings)


def _fitted(
    case: ResolvedProfile,
    forecast: Forecast | None,
    question: PlanRequest,
    data_for: DataFor,
    facts: Facts,
    memory: MemoryOf,
) -> ResolvedProfile:
    """With what it takes to end inside the window, where there is one and it is not inside yet."""
    if forecast is None or question.window is None:
        return case
    safe_seconds = question.window.safe_until - question.now
    if forecast.estimate(case.settings).p90_seconds <= safe_seconds:
        return case
    fitted = fit_to_window(case.settings, forecast.estimate, safe_seconds, facts, memory)
    note = "; ".join(text for text in (case.note, fitted.note) if text)
    case = msgspec.structs.replace(
        case, settings=fitted.settings, changes=[*case.changes, *fitted.changes], note=note
    )  # fmt: skip
    return within_steps(case, data_for(case.settings).facts.train_rows)


def _with_schedules(plan: Plan, settings: Settings, forecast: Forecast, question: PlanRequest, data: Workload) -> Plan:
    steps = forecast.steps(settings).epoch_steps
    asked = (settings, forecast.estimate, question.window, question.now, steps)
    return msgspec.structs.replace(
        plan,
        frequencies=[*eval_frequencies(*asked), *checkpoint_frequencies(*asked)],
        schedules=schedules(*asked, eval_rows=data.facts.eval_rows),
        goals=seek_goals(*asked),
        savings=_savings(settings, forecast, data),
    )


def _savings(settings: Settings, forecast: Forecast, data: Workload) -> list[Saving]:
    found = [grouping_saving(forecast.curve, data, settings)]
    if settings.model.kind == "causal-lm":
        found.append(packing_saving(forecast.curve, data, settings))
    return [saving for saving in found if saving is not None]


def _with_advice(plan: Plan, case: ResolvedProfile, basis: Basis, question: PlanRequest, memory: MemoryOf) -> Plan:
    row = plan.row
    assert row is not None
    measured = basis.result.measurement if basis.result is not None else None
    asked = RuleInput(
        settings=case.settings,
        row=row,
        now=question.now,
        window=question.window,
        alternatives=[other for other in plan.profiles if other.profile != row.profile and other.source != "model"],
        memory_options=_memory_options(row, case, memory) if row.fit == "no_memory" else [],
        savings=plan.savings,
        frequencies=plan.frequencies,
        goals=plan.goals,
        padding_fraction=basis.forecast.shape(case.settings).padding_fraction if basis.forecast is not None else None,
        step_phases=measured.phases if measured is not None else {},
        cores=usable_cores() if question.device_here else None,
    )
    return msgspec.structs.replace(plan, advice=advise(asked))


def _memory_options(row: ProfileRow, case: ResolvedProfile, memory: MemoryOf) -> list[MemoryOption]:
    """What else could be run: the micro-batch of one with gradient checkpointing, and half of the length."""
    tried: list[dict[str, Scalar]] = [
        {"train.micro_batch_size": 1},
        {"train.micro_batch_size": 1, "train.gradient_checkpointing": True},
        {"train.micro_batch_size": 1, "train.gradient_checkpointing": True, "data.max_length": row.max_length // 2},
    ]
    options = []
    for values in tried:
        changed = {path: value for path, value in values.items() if value_at(case.settings, path) != value}
        known = memory(with_values(case.settings, changed, "plan")) if changed else None
        if known is not None:
            options.append(
                MemoryOption(values=changed, peak_bytes=round(known[0] / (1 + MARGIN)), fits=known[0] <= known[1])
            )
    return options
