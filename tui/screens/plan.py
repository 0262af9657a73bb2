"""The Plan: profiles side by side, the next run's schedule, and what both come to against the window."""

from __future__ import annotations

from typing import Any

import msgspec
from textual.app import ComposeResult
from textual.containers import Container

from speedtui.tui.draft import planning
from speedtui.tui.draft.draft import diff_as_toml
from speedtui.tui.draft.fields import adjusted
from speedtui.tui.draft.front_draft import change, look
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Situation, bindings
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.plan_costs import CostsPane, SchedulesPane
from speedtui.tui.panes.plan_diff import DiffPane
from speedtui.tui.panes.plan_fields import FieldsPane
from speedtui.tui.panes.plan_pane import PlanPane
from speedtui.tui.panes.plan_profiles import ProfilesPane
from speedtui.tui.panes.plan_result import ResultPane
from speedtui.tui.screens.view import View

FIELDS = "plan-fields"


class PlanScreen(View):
    """Edits go to the next run. The arrow keys act in the pane in focus, by default the settings."""

    SCOPE = "plan"
    BINDINGS = bindings("plan")
    PANES = (FIELDS, "plan-costs", "plan-schedules", "plan-diff", "plan-profiles")
    MAIN = FIELDS

    def compose(self) -> ComposeResult:
        yield Header("plan")
        yield ProfilesPane(id="plan-profiles")
        with Container(id="plan-band", classes="band"):
            yield FieldsPane(id=FIELDS)
            yield CostsPane(id="plan-costs")
        yield ResultPane(id="plan-result")
        with Container(id="plan-more", classes="band"):
            yield SchedulesPane(id="plan-schedules")
            yield DiffPane(id="plan-diff")
        yield Footer("plan")

    def show(self, frame: Frame) -> None:
        """Works the next run out where something has changed, and hands it to the panes."""
        shown = look(self.speedtui)
        schedules = self.query_one(SchedulesPane)
        costs = self.query_one(CostsPane)
        costs.schedules_too = not schedules.display
        profiles = self.query_one(ProfilesPane)
        before = len(profiles.choices())
        for pane in self.query(PlanPane):
            pane.take(shown)
            pane.has_keys = pane is self.active
        if len(profiles.choices()) != before:
            profiles.refresh(layout=True)
        super().show(frame)

    @property
    def active(self) -> PlanPane[Any]:
        """Where the arrow keys act."""
        return self.query_one(f"#{self.pane_in_focus or FIELDS}", PlanPane)

    def focus_pane(self, name: str) -> None:
        super().focus_pane(name)
        for pane in self.query(PlanPane):
            pane.has_keys = pane is self.active
            pane.redraw()

    def action_move(self, rows: int) -> None:
        self.active.move(rows)

    def situation(self) -> Situation | None:
        now, shown = super().situation(), self.active.next_run
        if now is None or shown is None:
            return now
        draft = shown.draft
        return msgspec.structs.replace(now, next_differs=bool(draft.diff()), next_edited=bool(draft.past))

    def copy_text(self) -> tuple[str, str]:
        shown = self.active.next_run
        return "the changes of the next run", diff_as_toml(shown.draft.diff()) if shown is not None else ""

    def action_adjust(self, by: int) -> None:
        """The setting under the cursor, so many rungs on."""
        pane = self.active
        field = pane.selected() if isinstance(pane, FieldsPane) else None
        if field is None or pane.next_run is None:
            return
        shown = pane.next_run
        planning.set_values(self.speedtui, {field.path: adjusted(field, shown.draft.settings, by, shown.sizes)})

    def action_choose(self) -> None:
        """Types a value, switches the profile, or takes a row, by the pane."""
        match self.active:
            case ProfilesPane() as profiles:
                line = profiles.selected()
                if line is not None:
                    planning.take_option(self.speedtui, line.option.name)
            case CostsPane() | SchedulesPane() as pane:
                cost = pane.selected()
                planning.set_values(self.speedtui, cost.values if cost is not None else {})
            case FieldsPane() as fields:
                field = fields.selected()
                if field is not None:
                    planning.type_value(self.speedtui, field)
            case _:
                return

    def action_flip(self) -> None:
        """On or off; a setting that is neither goes one on."""
        if isinstance(self.active, FieldsPane):
            self.action_adjust(1)
        else:
            self.action_choose()

    def action_reset(self) -> None:
        pane = self.active
        field = pane.selected() if isinstance(pane, FieldsPane) else None
        if field is not None:
            change(self.speedtui, lambda draft: draft.reset(field.path))

    def action_reset_all(self) -> None:
        change(self.speedtui, lambda draft: draft.reset_all())

    def action_undo(self) -> None:
        change(self.speedtui, lambda draft: draft.undo())

    def action_goal(self) -> None:
        planning.seek_goal(self.speedtui)

    def action_write(self) -> None:
        planning.write(self.speedtui)

    def action_save_profile(self) -> None:
        planning.save_as_profile(self.speedtui)

    def action_plan(self) -> None:
        """Makes a plan, or another one."""
        planning.plan_again(self.speedtui)

    def action_steer(self) -> None:
        """Takes what can be into the run in progress, after asking."""
        from speedtui.tui.draft.steering import take_draft

        take_draft(self.speedtui)
