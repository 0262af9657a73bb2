"""The Monitor: one run, what it does now and when it will be done."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine.commands import Checkpoint, Evaluate
from speedtui.tui.drawing.frame import EDGES, INSET
from speedtui.tui.frame import Frame
from speedtui.tui.keys import bindings
from speedtui.tui.panes.deadline import DeadlinePane
from speedtui.tui.panes.devices import DevicesPane
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.loss import LossPane
from speedtui.tui.panes.notices import notices
from speedtui.tui.panes.results import ResultsPane
from speedtui.tui.panes.schedule import SchedulePane
from speedtui.tui.panes.step import StepPane
from speedtui.tui.screens.view import View

DEADLINE_ROWS, TALL_DEADLINE_ROWS = 4, 5
"""Of the deadline while nothing needs a person; a tall screen has the window as a line, too."""
AROUND_ROWS = 2
"""Header and footer."""


class MonitorScreen(View):
    """Deadline, step, devices, loss or results, events."""

    SCOPE = "monitor"
    BINDINGS = bindings("monitor")

    def compose(self) -> ComposeResult:
        yield Header("monitor")
        yield DeadlinePane(id="deadline")
        with Container(id="now", classes="band"):
            yield StepPane(id="step")
            yield DevicesPane(id="devices")
        with Container(id="course", classes="band"):
            yield LossPane(id="loss")
            yield ResultsPane(id="results")
            yield EventsPane(id="events")
        yield SchedulePane(id="schedule")
        yield Footer("monitor")

    def show(self, frame: Frame) -> None:
        """A study without a training shows its results where the loss will be; the deadline has the rows it needs."""
        studying = frame.run.study is not None or frame.run.job == "tune"
        self.set_class(studying and frame.run.training is None, "-study")
        self._make_room(frame)
        super().show(frame)

    def _make_room(self, frame: Frame) -> None:
        """For what needs a person; set only where it differs, since it lays the screen out again."""
        rows = TALL_DEADLINE_ROWS if self.has_class("-tall") else DEADLINE_ROWS
        rows += len(notices(frame, self.size.width - EDGES - INSET))
        height = max(DEADLINE_ROWS, min(rows, self.size.height - AROUND_ROWS))
        for pane in self.query(DeadlinePane):
            if pane.styles.height is None or pane.styles.height.value != height:
                pane.styles.height = height

    def action_move(self, rows: int) -> None:
        self.query_one(EventsPane).scroll_lines(rows)

    def action_evaluate(self) -> None:
        """Asks for an evaluation."""
        self.order(Evaluate())

    def action_checkpoint(self) -> None:
        """Asks for a checkpoint."""
        self.order(Checkpoint())

    # Dialogs are imported when they are needed: the first paint need not wait for them.

    def action_levers(self) -> None:
        """Shows what would bring a late training nearer to its deadline."""
        from speedtui.tui.steering import show_levers

        show_levers(self.speedtui)

    def action_schedule(self) -> None:
        """Edits the schedule of this run or of the next one."""
        from speedtui.tui.steering import edit_schedule

        edit_schedule(self.speedtui)
