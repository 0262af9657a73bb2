"""The Trials: the candidates of a study, their results, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.commands import (
    AddCandidate,
    AnyCommand,
    EditCandidate,
    Promote,
    RemoveCandidate,
    RunAll,
    RunTrial,
    StopTrial,
)
from speedtui.engine.config.paths import setting_paths
from speedtui.engine.config.settings import Scalar
from speedtui.engine.state import TrialRow
from speedtui.tui.keys import bindings
from speedtui.tui.panes.curve import CurvePane
from speedtui.tui.panes.detail import DetailPane
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.scatter import ScatterPane
from speedtui.tui.panes.summary import SummaryPane
from speedtui.tui.panes.trials import TrialsPane
from speedtui.tui.screens.view import View


class TrialsScreen(View):
    """Table, detail and two charts. Its commands go to the run that the study is in."""

    SCOPE = "trials"
    BINDINGS = bindings("trials")

    def compose(self) -> ComposeResult:
        yield Header("trials")
        yield SummaryPane(id="summary")
        yield TrialsPane(id="trials")
        with Container(id="detail-band", classes="band"):
            yield DetailPane(id="detail")
            yield CurvePane(id="curve")
        with Container(id="chart-band", classes="band"):
            yield ScatterPane(id="scatter")
            yield EventsPane(id="events")
        yield Footer("trials")

    @property
    def selected(self) -> TrialRow | None:
        return self.query_one(TrialsPane).selected_row()

    def on_trials_pane_selected(self) -> None:
        """The other panes follow the cursor."""
        trial = self.query_one(TrialsPane).selected
        for pane in (self.query_one(DetailPane), self.query_one(CurvePane), self.query_one(ScatterPane)):
            pane.selected = trial
            pane.redraw()
        footer = self.query_one(Footer)
        footer.situation = self.situation()
        footer.redraw()

    def action_move(self, rows: int) -> None:
        self.query_one(TrialsPane).move(rows)

    def order(self, command: AnyCommand) -> None:
        self.speedtui.order(command, study=True)

    def action_add(self) -> None:
        """A new candidate, starting from the micro-batch as it is configured."""
        config = self.speedtui.study_config
        train = config.get("train", {})
        self._edit("Add a candidate", {"train.micro_batch_size": train.get("micro_batch_size", 1)}, self._add)

    def action_duplicate(self) -> None:
        """A copy to be changed."""
        trial = self.selected
        if trial is not None:
            self._edit(f"Duplicate #{trial.candidate.id}", trial.candidate.values, self._add)

    def action_edit(self) -> None:
        """Other settings for a candidate without a result."""
        trial = self.selected
        if trial is not None:
            number = trial.candidate.id

            def edited(values: dict[str, Scalar] | None) -> None:
                if values is not None:
                    self.order(EditCandidate(trial=number, values=values))

            self._edit(f"Edit #{number}", trial.candidate.values, edited)

    def _add(self, values: dict[str, Scalar] | None) -> None:
        if values is not None:
            self.order(AddCandidate(values=values))

    def _edit(self, heading: str, values: dict[str, Scalar], done: Callable[[dict[str, Scalar] | None], None]) -> None:
        # Imported when it is needed: input fields take 30 ms that the first paint need not wait for.
        from speedtui.tui.candidate_edit import candidate_check, candidate_lines
        from speedtui.tui.screens.edit import EditScreen

        if not self.speedtui.refuses_commands():
            check = candidate_check(self.speedtui.study_config)
            self.app.push_screen(EditScreen(heading, candidate_lines(values), check, setting_paths()), done)

    def action_run_trial(self) -> None:
        """Queues the candidate."""
        if self.selected is not None:
            self.order(RunTrial(trial=self.selected.candidate.id))

    def action_run_all(self) -> None:
        """Queues every candidate without a result."""
        self.order(RunAll())

    def action_stop_trial(self) -> None:
        """Ends the trial, or takes it out of the queue."""
        if self.selected is not None:
            self.order(StopTrial(trial=self.selected.candidate.id))

    def action_delete(self) -> None:
        """Asks, then deletes."""
        from speedtui.tui.screens.confirm import confirm_delete

        trial = self.selected
        if trial is None or self.speedtui.refuses_commands():
            return
        number = trial.candidate.id

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self.order(RemoveCandidate(trial=number))

        has_result = trial.status.finished and trial.status is not TrialStatus.WAITING
        self.app.push_screen(confirm_delete(number, trial.candidate.label, has_result=has_result), answered)

    def action_promote(self) -> None:
        """Asks whether to train now, too."""
        from speedtui.tui.screens.confirm import ask_promote

        trial = self.selected
        if trial is None or self.speedtui.refuses_commands():
            return
        number = trial.candidate.id

        def answered(answer: str | None) -> None:
            if answer in ("promote", "train"):
                self.order(Promote(trial=number))
            if answer == "train":
                self.speedtui.train_promoted(number)
            if answer == "profile":
                self._save_profile(trial)

        self.app.push_screen(ask_promote(number, trial.candidate.label, can_train=self.speedtui.can_train), answered)

    def _save_profile(self, trial: TrialRow) -> None:
        """Asks for a name and keeps the trial's settings under it."""
        from speedtui.tui.saving import check_name, save_trial
        from speedtui.tui.screens.name import NameScreen

        def named(name: str | None) -> None:
            if name is not None:
                save_trial(self.app, name, trial, self.speedtui.study.state())

        self.app.push_screen(NameScreen(f"Save #{trial.candidate.id} as a profile", check_name), named)
