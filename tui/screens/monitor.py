"""The Monitor: one run, what it does now and when it will be done."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine.commands import Checkpoint, Evaluate
from speedtui.tui.drawing.border import EDGES, INSET
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame, TimeRange
from speedtui.tui.keys import bindings
from speedtui.tui.panes.deadline import DeadlinePane, deadline_rows
from speedtui.tui.panes.devices import DevicesPane
from speedtui.tui.panes.events import EventsPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.loss import LossPane
from speedtui.tui.panes.notices import notices
from speedtui.tui.panes.pane import Pane
from speedtui.tui.panes.results import ResultsPane
from speedtui.tui.panes.schedule import SchedulePane
from speedtui.tui.panes.step import StepPane
from speedtui.tui.screens.view import View

DEADLINE_ROWS = 4
"""Of the deadline while nothing needs a person and rows are scarce."""
AROUND_ROWS = {"-flat": 2, "-low": 3, "-short": 13, "-tall": 19}
"""Header, footer, and what the bands of each layout take at least."""
AXES: tuple[TimeRange, ...] = ("run", "10m", "1m")


class MonitorScreen(View):
    """Deadline, step, devices, loss or results, events."""

    SCOPE = "monitor"
    BINDINGS = bindings("monitor")
    PANES = ("step", "devices", "loss", "results", "events")

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
        if self.has_class("-tall"):
            rows = deadline_rows(frame, self.size.width)
        else:
            rows = DEADLINE_ROWS + len(notices(frame, self.size.width - EDGES - INSET))
        around = next((taken for layout, taken in AROUND_ROWS.items() if self.has_class(layout)), 2)
        height = max(DEADLINE_ROWS, min(rows, self.size.height - around))
        for pane in self.query(DeadlinePane):
            if pane.styles.height is None or pane.styles.height.value != height:
                pane.styles.height = height

    @property
    def main_pane(self) -> str:
        return "results" if self.has_class("-study") else "loss"

    def panes_now(self) -> list[str]:
        """Loss and results share a place."""
        other = "loss" if self.main_pane == "results" else "results"
        return [name for name in super().panes_now() if name != other]

    def copy_text(self) -> tuple[str, str]:
        """The pane in focus, or else the event at the top."""
        if self.pane_in_focus not in ("", "events"):
            rows = self.query_one(f"#{self.pane_in_focus}", Pane).rows
            return self.pane_in_focus, "\n".join(plain(line).rstrip() for line in rows)
        return "event", self.query_one(EventsPane).top_text

    def action_move(self, rows: int) -> None:
        self.query_one(EventsPane).scroll_lines(rows)

    def action_move_to(self, where: str) -> None:
        if where == "bottom":
            self.query_one(EventsPane).show_oldest()
        else:
            super().action_move_to(where)

    def action_evaluate(self) -> None:
        self.order(Evaluate())

    def action_checkpoint(self) -> None:
        self.order(Checkpoint())

    def action_axis(self) -> None:
        """The next stretch of time for charts over time: the whole run, ten minutes, one minute."""
        drawing = self.speedtui.drawing
        drawing.axis = AXES[(AXES.index(drawing.axis) + 1) % len(AXES)]
        drawing.now()

    def action_log_axis(self) -> None:
        """The loss by ratios, or back: what spans orders of magnitude is a line then, and a spike takes little."""
        drawing = self.speedtui.drawing
        drawing.log = not drawing.log
        drawing.now()

    # Dialogs are imported when they are needed: the first paint need not wait for them.

    def action_mark(self) -> None:
        """Marks this moment in the run's log, by a name where one is typed."""
        from speedtui.tui.draft.steering import mark_moment

        mark_moment(self.speedtui)

    def action_levers(self) -> None:
        """Shows what would bring a late training nearer to its deadline."""
        from speedtui.tui.draft.steering import show_levers

        show_levers(self.speedtui)

    def action_schedule(self) -> None:
        """Edits the schedule of this run or of the next one."""
        from speedtui.tui.draft.steering import edit_schedule

        edit_schedule(self.speedtui)
