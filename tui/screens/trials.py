"""The Trials: the candidates of a study, their results, and what can be done with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine import commands as c
from speedtui.engine.config.paths import setting_paths
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.state import TrialRow
from speedtui.tui.candidates.listing import Listing
from speedtui.tui.keys import bindings
from speedtui.tui.panes.curve import CurvePane
from speedtui.tui.panes.detail import DetailPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.pane import TrialPane
from speedtui.tui.panes.scatter import ScatterPane
from speedtui.tui.panes.summary import SummaryPane
from speedtui.tui.panes.trial_log import TrialLogPane
from speedtui.tui.panes.trials import TrialsPane
from speedtui.tui.screens.compare import CompareScreen
from speedtui.tui.screens.confirm import ask_promote, confirm_delete
from speedtui.tui.screens.view import View


class TrialsScreen(View):
    """Table, detail, log and two charts. Its commands go to the run that the study is in."""

    SCOPE = "trials"
    BINDINGS = bindings("trials")
    PANES = ("trials", "detail", "curve", "scatter", "trial-log")
    MAIN = "trials"

    deleted: tuple[int, dict[str, Scalar]] | None = None
    """Number and settings of the candidate deleted last, to be added again."""

    def compose(self) -> ComposeResult:
        yield Header("trials")
        yield SummaryPane(id="summary")
        yield TrialsPane(id="trials")
        with Container(id="detail-band", classes="band"):
            yield DetailPane(id="detail")
            yield CurvePane(id="curve")
        with Container(id="chart-band", classes="band"):
            yield ScatterPane(id="scatter")
            yield TrialLogPane(id="trial-log")
        yield Footer("trials")

    @property
    def selected(self) -> TrialRow | None:
        return self.query_one(TrialsPane).selected_row()

    @property
    def table(self) -> TrialsPane:
        """Holds cursor, order and marks."""
        return self.query_one(TrialsPane)

    def on_trials_pane_selected(self) -> None:
        """The other panes follow the cursor."""
        for pane in self.query(TrialPane):
            pane.selected = self.table.selected
            pane.redraw()
        footer = self.query_one(Footer)
        footer.situation = self.situation()
        footer.redraw()

    def action_move(self, rows: int) -> None:
        self.table.move(rows)

    def action_page(self, by: int) -> None:
        """As many rows as are seen, down (positive) or up."""
        self.table.move(by * self.table.page())

    # --- how it is listed ---

    def filtered(self, text: str) -> None:
        super().filtered(text)
        self._list_by(self.table.listing)

    def _list_by(self, listing: Listing) -> None:
        self.table.list_by(listing)
        summary = self.query_one(SummaryPane)
        summary.listing = listing
        summary.redraw()

    def action_sort(self) -> None:
        self._list_by(self.table.listing.next_sort())

    def action_reverse(self) -> None:
        self._list_by(self.table.listing.reversed())

    def action_mark_trial(self) -> None:
        """Marks the row, or takes its mark away, and goes on to the next."""
        if self.table.selected is not None:
            self._list_by(self.table.listing.toggled(self.table.selected))
            self.table.move(1)

    def action_back(self) -> None:
        """Marks go before zoom and filter."""
        if self.table.listing.marked and not self.zoomed:
            self._list_by(self.table.listing.unmarked())
        else:
            super().action_back()

    def action_compare(self) -> None:
        """The marked trials side by side; with fewer than two of them, the best and the one under the cursor."""
        trials = self._compared()
        if len(trials) < 2:
            self.notify("Mark two trials with space, or put the cursor on another one than the best.")
        elif self.frame is not None:
            self.app.push_screen(CompareScreen(self.frame.study, trials))

    def _compared(self) -> list[TrialRow]:
        study = self.table.study
        if study is None:
            return []
        marked = [trial for trial in self.table.shown() if trial.candidate.id in self.table.listing.marked]
        if len(marked) >= 2:
            return marked
        numbers = dict.fromkeys((study.best, *(trial.candidate.id for trial in marked), self.table.selected))
        return [trial for number in numbers if number is not None and (trial := study.row(number)) is not None][:2]

    # --- what leaves the screen ---

    def copy_text(self) -> tuple[str, str]:
        """The command that trains with the trial under the cursor."""
        from speedtui.tui.candidates.promoting import train_command

        trial = self.selected
        if trial is None:
            return "Command", ""
        study = self.speedtui.study
        command = train_command(study.session.folder, study.state(), trial)
        return f"Command that trains with #{trial.candidate.id}", command

    def action_export(self) -> None:
        """Writes the rows listed, in their order, and says where."""
        from speedtui.tui.candidates.exporting import write_trials

        study, rows = self.speedtui.study, self.table.shown()
        try:
            paths = write_trials(study.session.folder, study.state(), rows)
        except (OSError, SpeedtuiError) as error:
            self.notify(f"Not written: {error}", severity="error")
        else:
            self.notify(f"{len(rows)} trials: {' and '.join(map(str, paths))}", title="Written")

    # --- what is asked of the study ---

    def order(self, command: c.AnyCommand) -> None:
        self.speedtui.commands.send(command, study=True)

    def action_add(self) -> None:
        """A new candidate, starting from the micro-batch as it is configured."""
        config = self.speedtui.study_config
        train = config.get("train", {})
        self._edit("Add a candidate", {"train.micro_batch_size": train.get("micro_batch_size", 1)}, self._add)

    def action_duplicate(self) -> None:
        trial = self.selected
        if trial is not None:
            self._edit(f"Duplicate #{trial.candidate.id}", trial.candidate.values, self._add)

    def action_edit(self) -> None:
        trial = self.selected
        if trial is not None:
            number = trial.candidate.id

            def edited(values: dict[str, Scalar] | None) -> None:
                if values is not None:
                    self.order(c.EditCandidate(trial=number, values=values))

            self._edit(f"Edit #{number}", trial.candidate.values, edited)

    def action_grid(self) -> None:
        from speedtui.tui.candidates.grid import Grid, read_grid
        from speedtui.tui.screens.edit import EditScreen

        if self.speedtui.commands.refused(study=True):
            return
        config, study = self.speedtui.study_config, self.table.study
        present = study.rows if study is not None else ()
        train = config.get("train", {})
        line = f"train.micro_batch_size = {train.get('micro_batch_size', 1)}"

        def read(lines: Sequence[str]) -> Grid:
            return read_grid(lines, config, present)

        screen = EditScreen(
            "Add a grid of candidates", [line], read, setting_paths(), config, placeholder="setting = value, value",
            enter="adds them",
        )  # fmt: skip
        self.app.push_screen(screen, self._add_all)

    def _add_all(self, grid: list[dict[str, Scalar]] | None) -> None:
        for values in grid or ():
            self.order(c.AddCandidate(values=values))
        if grid:
            self.notify(f"{len(grid)} added; R runs them all.")

    def _add(self, values: dict[str, Scalar] | None) -> None:
        if values is not None:
            self.table.await_candidate()
            self.order(c.AddCandidate(values=values))

    def _edit(self, heading: str, values: dict[str, Scalar], done: Callable[[dict[str, Scalar] | None], None]) -> None:
        # Imported when it is needed: input fields take 30 ms that the first paint need not wait for.
        from speedtui.tui.candidates.edit import candidate_check, candidate_lines
        from speedtui.tui.screens.edit import EditScreen

        if not self.speedtui.commands.refused(study=True):
            config = self.speedtui.study_config
            lines, check = candidate_lines(values), candidate_check(config)
            self.app.push_screen(EditScreen(heading, lines, check, setting_paths(), config), done)

    def action_run_trial(self) -> None:
        if self.selected is not None:
            self.order(c.RunTrial(trial=self.selected.candidate.id))

    def action_run_all(self) -> None:
        self.order(c.RunAll())

    def action_stop_trial(self) -> None:
        """Ends the trial, or takes it out of the queue."""
        if self.selected is not None:
            self.order(c.StopTrial(trial=self.selected.candidate.id))

    def action_kill(self) -> None:
        """Kills the study's worker, after asking."""
        from speedtui.tui.runs.killing import ask_and_kill

        ask_and_kill(self.speedtui, study=True)

    def action_delete(self) -> None:
        """Asks, then deletes."""
        trial = self.selected
        if trial is None or self.speedtui.commands.refused(study=True):
            return
        number = trial.candidate.id

        def answered(answer: str | None) -> None:
            if answer == "delete":
                self.deleted = number, trial.candidate.values
                self.order(c.RemoveCandidate(trial=number))

        has_result = trial.status.finished
        self.app.push_screen(confirm_delete(number, trial.candidate.label, has_result=has_result), answered)

    def action_undo_delete(self) -> None:
        """Adds the candidate deleted last again, under a new number."""
        if self.deleted is None:
            self.notify("Nothing was deleted here.")
            return
        number, values = self.deleted
        self.deleted = None
        self.order(c.AddCandidate(values=values))
        self.notify(f"#{number} is added again under a new number; its result is gone.")

    def action_promote(self) -> None:
        """Asks whether to train now, too; a study that is over can be asked as well."""
        from speedtui.tui.candidates.promoting import promote
        from speedtui.tui.candidates.saving import save_as_profile

        trial = self.selected
        if trial is None:
            return
        number = trial.candidate.id

        def answered(answer: str | None) -> None:
            if answer in ("promote", "train"):
                promote(self.speedtui, trial, train=answer == "train")
            if answer == "profile":
                save_as_profile(self.speedtui, trial, self.speedtui.study.state())

        can_train = self.speedtui.can_train
        text = trial.candidate.label
        if not can_train:
            text += "\nNo training can be started from here; y copies the command that starts it elsewhere."
        self.app.push_screen(ask_promote(number, text, can_train=can_train), answered)
