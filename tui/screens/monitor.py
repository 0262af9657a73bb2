"""The Monitor: one run, what it does now and when it will be done."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine.commands import Checkpoint, Evaluate
from speedtui.tui.frame import Frame
from speedtui.tui.keys import bindings
from speedtui.tui.panes.deadline import DeadlinePane
from speedtui.tui.panes.devices import DevicesPane
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.loss import LossPane
from speedtui.tui.panes.results import ResultsPane
from speedtui.tui.panes.schedule import SchedulePane
from speedtui.tui.panes.step import StepPane
from speedtui.tui.screens.view import View


class MonitorScreen(View):
    """Deadline, step, devices, loss or results, events."""

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
        """A study without a training shows its results where the loss will be."""
        studying = frame.run.study is not None or frame.run.job == "tune"
        self.set_class(studying and frame.run.training is None, "-study")
        super().show(frame)

    def action_move(self, rows: int) -> None:
        self.query_one(EventsPane).scroll_lines(rows)

    def action_evaluate(self) -> None:
        """Asks for an evaluation."""
        self.order(Evaluate())

    def action_checkpoint(self) -> None:
        """Asks for a checkpoint."""
        self.order(Checkpoint())
