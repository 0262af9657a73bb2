"""Where the next run of one run is put together: the draft, and what it comes to, worked out once for each change."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan.run_options import RunOption
from speedtui.engine.profile.load import list_profiles
from speedtui.engine.state import RunState
from speedtui.tui.draft.draft import Draft, Layers
from speedtui.tui.draft.next_run import NextRun, next_run, options_of
from speedtui.tui.draft.schedule_edit import settings_now

FRESH_SECONDS = 60.0
"""After which it starts later, so that its finish is another one; the screen's clock shows minutes."""


class DraftEditor:
    """Belongs to one run that is followed, so that a draft survives other screens and other runs."""

    def __init__(self) -> None:
        self.draft: Draft | None = None
        self._profiles = list_profiles()
        self._options: tuple[RunOption, ...] = ()
        self._options_of: tuple[object, ...] = ()
        self._shown: NextRun | None = None
        self._shown_of: tuple[object, ...] = ()

    def look(self, run: RunState, plan_run: RunState, now: float) -> NextRun | None:
        """The next run; None before the configuration is known. `now`: wall clock, seconds since the epoch."""
        draft = self._current(run)
        if draft is None:
            return None
        self._collect(run, plan_run, draft.base, int(now / FRESH_SECONDS))
        draft = self.draft = self._begun(draft, run, plan_run)
        asked = (self._options, draft, plan_run.status, int(now / FRESH_SECONDS))
        if self._shown is None or asked != self._shown_of:
            self._shown, self._shown_of = next_run(draft, self._options, run, plan_run, now), asked
        return self._shown

    def read_profiles(self) -> None:
        """One was saved."""
        self._profiles = list_profiles()
        self._options_of = ()

    def _current(self, run: RunState) -> Draft | None:
        """The draft over the run's settings as they are now."""
        if not run.config:
            return None
        try:
            base = settings_now(run)
        except ConfigError:
            return None
        self.draft = self.draft.over(base) if self.draft is not None else Draft(base=base)
        return self.draft

    def _begun(self, draft: Draft, run: RunState, plan_run: RunState) -> Draft:
        """Nobody has touched it yet: in a run that planned, and has not trained, it begins with the plan's profile."""
        plan = run.plan if run is plan_run else None
        if plan is None or run.training is not None or draft.past or draft.layers != Layers():
            return draft
        option = next((one for one in self._options if one.name == plan.selected), None)
        if option is None:
            return draft
        return msgspec.structs.replace(draft, layers=Layers(profile=option.name, chosen=dict(option.values)))

    def _collect(self, run: RunState, plan_run: RunState, base: Settings, minute: int) -> None:
        """What can be taken, again when something more is known."""
        training, study = run.training, run.study
        made = (training.full_evaluations.count, training.checkpoint_totals.count) if training is not None else ()
        tried = study.finished if study is not None else None
        results = sum(row.result is not None for row in study.rows) if study is not None else 0
        known = (plan_run.plan, plan_run.status, run.status, made, tried, results)
        seen = (*known, base, minute if training is not None else 0)
        if seen != self._options_of:
            self._options, self._options_of = options_of(base, run, plan_run, self._profiles), seen
