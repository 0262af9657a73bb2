"""What the next run comes to: each choice side by side, the schedule's cost, and all of it against the window."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.same_steps import keeps_steps
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window, resolve_window
from speedtui.engine.config.zone import LOCAL
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan.goals import seek_goals
from speedtui.engine.plan.run_options import RunOption, plan_options, run_option, trial_options, with_savings
from speedtui.engine.plan.schedules import schedules
from speedtui.engine.plan.tables import checkpoint_frequencies, eval_frequencies
from speedtui.engine.plan.what_if import KnownRun, nearest_known, unmeasured, what_if
from speedtui.engine.plan_types import Fit, FrequencyRow, Goal, ScheduleRow
from speedtui.engine.profile.apply import apply_profile, values_of
from speedtui.engine.profile.load import Profiles
from speedtui.engine.schedule.costs import COMPUTED
from speedtui.engine.state import RunState
from speedtui.engine.timing.verdict import judge_finish, safe_room_seconds, spare_seconds
from speedtui.tui.draft.draft import WHERE, Draft, SettingValues, laid_over
from speedtui.tui.draft.fields import DraftField, RunSizes, fields_of

MOST_TRIALS = 6
"""Of a study: the fastest ones; the Trials have them all."""


class NextRunRow(NamedTuple):
    """A choice with the edits over it."""

    option: RunOption
    basis: RunOption
    """What its figures rest on: itself, or a run that was measured with the same steps."""
    estimate: Estimate | None
    fit: Fit
    finish: float | None
    """At P50, wall clock; as if it started now."""
    finish_p90: float | None
    spare_seconds: float | None
    taken: bool
    """The next run takes it."""
    left_out: bool = False
    """Edits of which nothing is known with this choice are not in its figures."""

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What is not in its time, since nobody measured it."""
        return self.estimate.unmeasured if self.estimate is not None else ()

    @property
    def known(self) -> bool:
        """Whether anything is known of it."""
        return self.estimate is not None or self.basis.step_seconds is not None or self.option.peak_bytes is not None

    @property
    def computed(self) -> bool:
        """Whether its steps were computed from those of its basis."""
        return computed_from(self.estimate, self.basis)

    @property
    def measured(self) -> bool:
        """Whether its figures rest on a measurement."""
        return self.basis.measured and not self.computed


class NextRun(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the Plan shows besides the progress of a plan that is being made."""

    draft: Draft
    now: float
    """Wall clock at which it is taken to start, seconds since the epoch."""
    window: Window | None = None
    window_problem: str = ""
    """Why the window that is set cannot be used."""
    estimate: Estimate | None = None
    missing: str = ""
    """What of the next run nobody has measured, in words."""
    fit: Fit = "unknown"
    option: RunOption | None = None
    """What the estimate rests on."""
    lines: tuple[NextRunRow, ...] = ()
    fields: tuple[DraftField, ...] = ()
    sizes: RunSizes = RunSizes()
    frequencies: tuple[FrequencyRow, ...] = ()
    schedules: tuple[ScheduleRow, ...] = ()
    goals: tuple[Goal, ...] = ()
    slower: float | None = None
    """Times as long as a step may take, and it still fits."""

    @property
    def unpriced(self) -> tuple[str, ...]:
        """What is not in the estimate, since nobody measured it."""
        return self.estimate.unmeasured if self.estimate is not None else ()

    @property
    def computed(self) -> bool:
        """Whether the steps were computed from those that were measured."""
        return self.option is not None and computed_from(self.estimate, self.option)

    @property
    def measured(self) -> bool:
        """Whether the estimate rests on a measurement."""
        return self.option is not None and self.option.measured and not self.computed

    def goal(self, what: str) -> Goal | None:
        """The most of something that fits."""
        return next((goal for goal in self.goals if goal.what == what), None)


def computed_from(estimate: Estimate | None, basis: RunOption) -> bool:
    """Whether an estimate has other steps than what it rests on."""
    return estimate is not None and basis.known is not None and estimate.source != basis.known.source


def options_of(base: Settings, run: RunState, plan_run: RunState, profiles: Profiles) -> tuple[RunOption, ...]:
    """All that the next run can take: the run's own pace, the profiles, the trials of its study."""
    planned = plan_options(plan_run, base)
    own = run_option(run, base)
    named = [option.name for option in planned]
    others = [_unknown(profile.name, base, profiles) for profile in profiles.profiles if profile.name not in named]
    as_it_is = own if own is not None else RunOption(name="as it is", kind="run", values={}, description="no profile")
    return tuple(with_savings([as_it_is, *planned, *others, *trial_options(run)[:MOST_TRIALS]], plan_run))


def _unknown(name: str, base: Settings, profiles: Profiles) -> RunOption:
    """A profile of which no plan says anything."""
    profile = profiles.named(name)
    assert profile is not None
    applied = apply_profile(base, profile)
    return RunOption(
        name=name, kind="profile", values=values_of(applied.settings, base), description=profile.description,
        changes=applied.changes,
    )  # fmt: skip


def knowns_of(options: Sequence[RunOption]) -> list[tuple[KnownRun, RunOption]]:
    """What was measured comes first."""
    found = [(option.known, option) for option in options if option.known is not None]
    return sorted(found, key=lambda pair: not pair[1].measured)


def next_run(draft: Draft, options: Sequence[RunOption], run: RunState, plan_run: RunState, now: float) -> NextRun:
    """The next run as the draft has it, started at `now` (wall clock, seconds since the epoch)."""
    settings = draft.settings
    window, problem = _window(settings, now)
    pairs = knowns_of(options)
    known, option = _answering(settings, pairs)
    estimate = what_if(known, settings) if known is not None else None
    sizes = _sizes(draft.base, run, plan_run, known, estimate)
    shown = NextRun(
        draft=draft, now=now, window=window, window_problem=problem, estimate=estimate,
        missing="" if estimate is not None else _missing(settings, pairs, plan_run),
        fit=_fit(now, estimate, window, option), option=option, sizes=sizes,
        lines=tuple(_line(one, draft, pairs, window, now) for one in options),
        fields=tuple(fields_of(settings, evaluates=_evaluates(settings, known, run, plan_run))),
    )  # fmt: skip
    return shown if known is None else _with_tables(shown, settings, known)


def _with_tables(shown: NextRun, settings: Settings, known: KnownRun) -> NextRun:
    def estimate(asked: Settings) -> Estimate | None:
        return what_if(known, asked)

    steps = known.steps.epoch_steps
    asked = (settings, estimate, shown.window, shown.now, steps)
    return msgspec.structs.replace(
        shown,
        frequencies=(*eval_frequencies(*asked), *checkpoint_frequencies(*asked)),
        schedules=tuple(schedules(*asked, eval_rows=known.eval_rows)),
        goals=tuple(seek_goals(*asked)),
        slower=_slower(shown, known),
    )


def _answering(
    settings: Settings, pairs: Sequence[tuple[KnownRun, RunOption]]
) -> tuple[KnownRun | None, RunOption | None]:
    known = nearest_known(settings, (known for known, _ in pairs))
    return next(((known, option) for one, option in pairs if one is known), (None, None))


def _line(
    option: RunOption, draft: Draft, pairs: Sequence[tuple[KnownRun, RunOption]], window: Window | None, now: float
) -> NextRunRow:  # fmt: skip
    edits = draft.layers.edits
    own = [(option.known, option)] if option.known is not None else []
    found = _laid(option, draft, edits, [*own, *pairs])
    left_out = bool(own) and found.estimate is None
    if left_out:
        slow = {path: value for path, value in edits.items() if keeps_steps(path)}
        found = next((one for kept in (slow, {}) if (one := _laid(option, draft, kept, own)).estimate), found)
    estimate, basis = found.estimate, found.option or option
    taken = draft.profile == option.name if draft.profile else option.kind == "run"
    return NextRunRow(
        option=option, basis=basis, estimate=estimate, fit=_fit(now, estimate, window, option),
        finish=now + estimate.p50_seconds if estimate is not None else None,
        finish_p90=now + estimate.p90_seconds if estimate is not None else None,
        spare_seconds=spare_seconds(now, estimate, window), taken=taken, left_out=left_out,
    )  # fmt: skip


class _EstimatedChoice(NamedTuple):
    """A choice with edits over it."""

    estimate: Estimate | None = None
    option: RunOption | None = None
    """What answers."""


def _laid(
    option: RunOption, draft: Draft, edits: SettingValues, pairs: Sequence[tuple[KnownRun, RunOption]]
) -> _EstimatedChoice:
    """Nothing where the edits do not go with the choice, or nobody measured that."""
    try:
        settings = laid_over(draft.base, {**option.values, **edits})
    except ConfigError:
        return _EstimatedChoice()
    known, answers = _answering(settings, pairs)
    estimate = what_if(known, settings) if known is not None else None
    return _EstimatedChoice(estimate, answers)


def _fit(now: float, estimate: Estimate | None, window: Window | None, option: RunOption | None) -> Fit:
    if option is not None and option.memory_fits is False:
        return "no_memory"
    return judge_finish(now, estimate, window)


def _window(settings: Settings, now: float) -> tuple[Window | None, str]:
    try:
        return resolve_window(settings.window, datetime.fromtimestamp(now, LOCAL), WHERE, os.environ), ""
    except ConfigError as error:
        return None, error.message.removeprefix(f"{WHERE}: ")


def _missing(settings: Settings, pairs: Sequence[tuple[KnownRun, RunOption]], plan_run: RunState) -> str:
    """The least that is missing; `nothing` where nothing is known of any run, `the plan` while it is made."""
    if plan_run.job == "plan" and plan_run.plan is None and plan_run.status.busy:
        return "the plan"
    found = [unmeasured(known, settings) for known, _ in pairs]
    return next((what for what in found if what != "another step"), found[0] if found else "nothing")


def _sizes(
    base: Settings, run: RunState, plan_run: RunState, known: KnownRun | None, estimate: Estimate | None
) -> RunSizes:
    model = run.model or plan_run.model
    return RunSizes(
        total_steps=estimate.total_steps if estimate is not None else None,
        epoch_steps=known.steps.epoch_steps if known is not None else None,
        eval_rows=model.eval_rows if model is not None and base.data.eval_rows is None else None,
    )


def _evaluates(settings: Settings, known: KnownRun | None, run: RunState, plan_run: RunState) -> bool:
    model = run.model or plan_run.model
    if known is not None:
        return known.evaluates
    return bool(model.eval_rows) if model is not None else settings.data.evaluates


def _slower(shown: NextRun, known: KnownRun) -> float | None:
    estimate, window = shown.estimate, shown.window
    if estimate is None or window is None:
        return None
    computed = math.fsum(estimate.terms.get(name, 0.0) for name in COMPUTED)
    room = safe_room_seconds(shown.now, estimate, window) / (1 + known.late_share)
    steps = estimate.terms.get("steps", 0.0)
    return 1 + room / steps if steps > 0 and computed > 0 and room > 0 else None
