"""When the screen in front is drawn, and from what: one timer pulls snapshots at the pace that the terminal takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.timer import Timer

from speedtui.tui.base_app import BaseApp
from speedtui.tui.frame import Frame, TimeRange
from speedtui.tui.terminal.driver import terminal_of
from speedtui.tui.terminal.refresh_rate import RefreshRate, Traffic
from speedtui.tui.terminal.title import Title


class Redraw:
    """Makes frames and hands them to the screen in front."""

    def __init__(self, app: BaseApp, tick: Callable[[], None]) -> None:
        """`tick`: the app's own, which hears what came before it has this draw."""
        self._app, self._tick = app, tick
        self.pace = RefreshRate(app.options.rate_hz, slow=app.options.slow_link)
        self.traffic = Traffic()
        self.frozen = False
        self.axis: TimeRange = "run"
        """Stretch of time that charts over time show."""
        self.log = False
        """Whether equal ratios of the loss are equally high."""
        self.frame: Frame | None = None
        """The last one drawn."""
        self._title = Title()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Begins, or begins again at another rate."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._app.set_interval(1 / self.pace.rate_hz, self._tick)

    def tick(self) -> None:
        """Draws the next frame, unless nothing changed, it is frozen, or the terminal is behind."""
        rate, driver = self.pace.rate_hz, terminal_of(self._app)
        if driver is not None:
            self.traffic.count(time.monotonic(), driver.written_bytes)
        may_draw = self.pace.tick(driver.backlog if driver is not None else 0, self.traffic.bytes_per_second)
        if self.pace.rate_hz != rate:
            self.traffic.forget()  # what is sent at another rate is another amount
            self.start()
        if driver is not None and driver.lost_output and not driver.backlog:
            self.repaint()
        elif may_draw and not self.frozen:
            self._draw()
            if driver is not None and self._app.options.titles:
                self._title.show(driver, self._app.front.state())

    def now(self) -> None:
        """Draws every pane, whatever its pace."""
        self.excuse()
        self._draw(every=True)

    def excuse(self) -> None:
        """What is sent next was asked for, and does not count as too much."""
        self.traffic.excuse(time.monotonic())

    def repaint(self) -> None:
        """Sends the whole screen again: something else was written over it, or part of it was lost on the way."""
        driver = terminal_of(self._app)
        if driver is not None:
            driver.lost_output = False
            driver.clear()
        if not self.frozen:
            self.now()
        self._app.screen.refresh(layout=True)

    def change_rate(self, steps: int) -> None:
        """Slower (positive) or faster, as a person asks."""
        self.pace.change(steps)
        self.start()
        self.now()

    def _draw(self, *, every: bool = False) -> None:
        view = self._app.seen
        if view is None:
            return
        frame = self._new_frame(every=every)
        if every or (frame.differs_from(self.frame) and self.pace.numbers_due(frame.measuring)):
            self.frame = frame
            view.show(frame)

    def _new_frame(self, *, every: bool) -> Frame:
        app, runs = self._app, self._app.runs
        front, study, planning = runs.front, runs.study, runs.planning
        return Frame(
            run=front.state(), study=study.state(),
            planning=planning.state() if planning is not None else None,
            plan_error=planning.error if planning is not None else None,
            clock=app.options.clock(), rate_hz=self.pace.rate_hz, slow_link=self.pace.slow_link,
            held_back_by=self.pace.held_back_by, kib_per_second=self.traffic.kib_per_second, frozen=self.frozen,
            read_only=app.read_only, error=front.error, note=app.notices.note, slow_panes=self.pace.slow_panes_due(),
            every=every, axis=self.axis, log=self.log,
            runs=len(runs.open), at=runs.open.index(front), replay=front.replay(),
            catching_up=front.catching_up(), silent_seconds=front.silent_seconds(),
            unanswered=tuple(dict.fromkeys((*front.unanswered(), *study.unanswered()))),
        )  # fmt: skip
