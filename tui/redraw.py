"""When the screen in front is drawn, and from what: one timer pulls snapshots at the pace that the terminal takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.timer import Timer

from speedtui.tui.frame import Axis, Frame
from speedtui.tui.pace import Pace

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


class Redraw:
    """Makes frames and hands them to the screen in front."""

    def __init__(self, app: SpeedtuiApp) -> None:
        self._app = app
        self.pace = Pace(app.options.rate_hz)
        self.frozen = False
        self.axis: Axis = "run"
        """Stretch of time that charts over time show."""
        self.frame: Frame | None = None
        """The last one drawn."""
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begins, or begins again at another rate."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_interval(1 / self.pace.rate_hz, self._app.tick)

    def tick(self) -> None:
        """Draws the next frame, unless nothing changed, it is frozen, or the terminal is behind."""
        rate = self.pace.rate_hz
        may_draw = self.pace.tick(self._backlog())
        if self.pace.rate_hz != rate:
            self.start()
        if may_draw and not self.frozen:
            self._draw()

    def now(self) -> None:
        """Draws every pane, whatever its pace."""
        self._draw(every=True)

    def change_rate(self, steps: int) -> None:
        """Slower (positive) or faster, as a person asks."""
        self.pace.change(steps)
        self.start()
        self.now()

    def _backlog(self) -> int:
        """Writes that wait for the terminal; private to Textual, so looked up with care."""
        writer = getattr(self._app._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue.qsize() if queue is not None else 0

    def _draw(self, *, every: bool = False) -> None:
        view = self._app.view
        if view is None:
            return
        frame = self._new_frame(every=every)
        if every or (frame.differs_from(self.frame) and self.pace.numbers_due(frame.measuring)):
            self.frame = frame
            view.show(frame)

    def _new_frame(self, *, every: bool) -> Frame:
        app, fleet = self._app, self._app.fleet
        front, study, planning = fleet.front, fleet.study, fleet.planning
        return Frame(
            run=front.state(), study=study.state(),
            planning=planning.state() if planning is not None else None,
            plan_error=planning.error if planning is not None else None,
            clock=app.options.clock(), rate_hz=self.pace.rate_hz, slow_link=self.pace.slow_link, frozen=self.frozen,
            read_only=app.read_only, error=front.error, note=app.note, slow_panes=self.pace.slow_panes_due(),
            every=every, axis=self.axis, runs=len(fleet.open), at=fleet.open.index(front), replay=front.replay(),
            unanswered=tuple(dict.fromkeys((*front.unanswered(), *study.unanswered()))),
        )  # fmt: skip
