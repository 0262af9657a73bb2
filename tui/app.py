"""The app: pulls snapshots on a timer, hands them to the screen in front, and sends what a person asks for."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.timer import Timer

from speedtui.engine.commands import AnyCommand, Cancel, Finish, Pause, Resume, Stop
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.session.base import Session
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.following import Following
from speedtui.tui.frame import Frame
from speedtui.tui.keys import bindings, keys_of
from speedtui.tui.news import Promotion, VerdictWatch, tell, tell_error
from speedtui.tui.options import ScreenOptions
from speedtui.tui.pace import Pace
from speedtui.tui.screens.help import HelpScreen
from speedtui.tui.screens.leave import ask_leave
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.screens.trials import TrialsScreen
from speedtui.tui.screens.view import View
from speedtui.tui.theme import PLAIN_THEME, choose_theme

TERMINAL_CHECK_SECONDS = 1.0
"""Between two looks at whether the terminal is still there."""


class SpeedtuiApp(App[None]):
    """Shows one session, and the training that is started from it."""

    CSS_PATH = "style.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {"monitor": MonitorScreen, "trials": TrialsScreen}
    BINDINGS = bindings("everywhere")
    TITLE = "speedtui"

    def __init__(
        self, session: Session, options: ScreenOptions, *, terminal_gone: Callable[[], bool] = lambda: False
    ) -> None:
        theme = choose_theme(os.environ)  # before Textual takes NO_COLOR out of the environment
        super().__init__(ansi_color=True if theme.startswith("ansi") else None)
        self.theme = theme if theme in self.available_themes else PLAIN_THEME
        self.set_class(self.theme.startswith("ansi"), "-plain")
        self.options = options
        self.front = Following(session)
        """The run on the Monitor."""
        self.study = self.front
        """The run whose trials are listed."""
        self.status: ExitCode | None = None
        """What the command ends with; None until that is known."""
        self._pace = Pace(options.rate_hz)
        self._timer: Timer | None = None
        self._frame: Frame | None = None
        self._frozen = False
        self._leaving = False
        self._promotion: Promotion | None = None
        self._verdicts = VerdictWatch()
        self._opened_at = options.clock()
        self._terminal_gone = terminal_gone
        self.loop: asyncio.AbstractEventLoop | None = None

    def on_mount(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.switch_mode(self.options.start_screen)
        self._follow(self.front)
        self._restart_timer()
        self.set_interval(TERMINAL_CHECK_SECONDS, self._check_terminal)

    def on_unmount(self) -> None:
        """However the screen ends, a session that still runs is let go, so that its thread returns."""
        for following in {self.front, self.study}:
            if not following.ended:
                following.session.detach()

    def _follow(self, following: Following) -> None:
        self.run_worker(following.run, thread=True, exclusive=True, group="engine", exit_on_error=False)

    # --- drawing ---

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(1 / self._pace.rate_hz, self.tick)

    def tick(self) -> None:
        """Draws the next frame, unless nothing changed or the terminal is behind."""
        rate = self._pace.rate_hz
        may_draw = self._pace.tick(self._backlog())
        if self._pace.rate_hz != rate:
            self._restart_timer()
        self._read_news()
        if self._leaving and self.front.ended:
            self.exit()
        elif may_draw and not self._frozen:
            self._draw()

    def _backlog(self) -> int:
        """Writes that wait for the terminal; private to Textual, so looked up with care."""
        writer = getattr(self._driver, "_writer_thread", None)
        queue = getattr(writer, "_queue", None)
        return queue.qsize() if queue is not None else 0

    def _draw(self, *, every: bool = False) -> None:
        view = self.screen
        if not isinstance(view, View):
            return
        frame = self._new_frame(every=every)
        if every or (frame.differs_from(self._frame) and self._pace.numbers_due(frame.measuring)):
            self._frame = frame
            view.show(frame)

    def draw_now(self) -> None:
        """Draws every pane, whatever its pace."""
        self._draw(every=True)

    def _new_frame(self, *, every: bool) -> Frame:
        return Frame(
            run=self.front.state(), study=self.study.state(), clock=self.options.clock(), rate_hz=self._pace.rate_hz,
            slow_link=self._pace.slow_link, frozen=self._frozen, read_only=self.options.read_only,
            error=self.front.error, note=self._note(), slow_panes=self._pace.slow_panes_due(), every=every,
            unanswered=tuple(dict.fromkeys((*self.front.unanswered(), *self.study.unanswered()))),
        )  # fmt: skip

    def _note(self) -> str:
        return self._promotion.note if self._promotion is not None else ""

    # --- what comes back ---

    def _read_news(self) -> None:
        if self.front.error is not None and not self.front.error_told:
            self.front.error_told = True
            tell_error(self, self.front.error)
        state = self.front.state()
        self._verdicts.look(self, state, opened_at=self._opened_at)
        for event in self.front.news():
            tell(self, event, sent=self.front.sent, fresh=state.started_at + event.t >= self._opened_at)
            if self._promotion is not None:
                self._promotion.hear(event)
        if self._promotion is not None and self._promotion.take_over_due():
            self._start_training(self._promotion.config_file)
            self._promotion = None

    def _start_training(self, config_file: str) -> None:
        if self.options.train is None:
            return
        try:
            session = self.options.train(config_file)
        except SpeedtuiError as error:
            tell_error(self, error)
            return
        self.front = Following(session)
        self._follow(self.front)
        self.action_show_screen("monitor")

    @property
    def obeyed(self) -> bool:
        """Whether somebody is there to follow commands of the run in front."""
        return not self.options.read_only and not self.front.ended and self.front.state().status.busy

    @property
    def can_train(self) -> bool:
        """Whether a promoted configuration can be trained from here."""
        return self.options.train is not None and self.study is self.front

    @property
    def study_config(self) -> dict[str, Any]:
        """The configuration that candidates differ from."""
        return self.study.state().config

    def train_promoted(self, trial: int) -> None:
        """Starts the training of a trial as soon as it is promoted and the study has ended."""
        self._promotion = Promotion(self.study, trial)

    # --- commands ---

    def refuses_commands(self) -> bool:
        """Whether commands make no sense here; says so."""
        if self.options.read_only:
            self.notify("This run is only shown: commands have no effect.", severity="warning")
        return self.options.read_only

    def order(self, command: AnyCommand, *, study: bool = False) -> None:
        """Sends a command to the run in front, or to the study's."""
        following = self.study if study else self.front
        if self.refuses_commands():
            return
        if following.ended:
            self.notify("The run is over: nothing follows commands any more.", severity="warning")
            return
        try:
            following.send(command)
        except (SpeedtuiError, OSError) as error:
            self.notify(f"The command could not be sent: {error}", severity="error")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys the keys that do nothing now."""
        return self.screen.check_action(action, parameters) if isinstance(self.screen, View) else True

    def action_show_screen(self, name: str) -> None:
        """Goes to a screen."""
        self.switch_mode(name)

    def action_pause(self) -> None:
        """Pauses or resumes."""
        paused = self.front.state().status is RunStatus.PAUSED
        self.order(Resume() if paused else Pause())

    def action_stop_safely(self) -> None:
        """Ends the job; the screen stays."""
        self.order(Stop())

    def action_rate(self, steps: int) -> None:
        """Slower or faster."""
        self._pace.change(steps)
        self._restart_timer()
        self.draw_now()

    def action_freeze(self) -> None:
        """Holds the picture, or lets it go on."""
        self._frozen = not self._frozen
        self.draw_now()

    def action_redraw(self) -> None:
        """Draws everything again, for a terminal that was written over."""
        self.draw_now()
        self.screen.refresh(layout=True)

    def action_move(self, rows: int) -> None:
        """Moves what moves on the screen in front."""
        if isinstance(self.screen, View):
            self.screen.action_move(rows)

    def action_move_to(self, where: str) -> None:
        """To its top or bottom."""
        if isinstance(self.screen, View):
            self.screen.action_move_to(where)

    def action_help(self) -> None:
        """Shows the keys."""
        self.push_screen(HelpScreen("trials" if self.current_mode == "trials" else "monitor"))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: the keys of this screen, by what they do."""
        scope = "trials" if self.current_mode == "trials" else "monitor"
        for key in (*keys_of(scope), *keys_of("everywhere")):  # type: ignore[arg-type]
            target = screen if key.scope != "everywhere" else self
            if key.id != "screen.palette":
                yield SystemCommand(key.help, f"key {key.shown}", partial(self.run_action, key.action, target))
        yield SystemCommand("theme", "choose colours", self.action_change_theme)

    # --- leaving ---

    async def action_quit(self) -> None:
        """What Textual binds to ctrl+q."""
        self.action_leave()

    def action_help_quit(self) -> None:
        """What Textual binds to ctrl+c."""
        self.action_leave()

    def action_leave(self) -> None:
        """Leaves, after asking when something runs."""
        state = self.front.state()
        if self.front.ended:
            self.exit()
        elif self.options.read_only or not state.status.busy:
            self._leave_idle(state)
        else:
            self.push_screen(ask_leave(state), self._leave_as)

    def _leave_idle(self, state: RunState) -> None:
        """A study that waits for more is ended: nobody is left to give it anything."""
        if self.options.read_only or state.status is not RunStatus.IDLE:
            self.detach()
            return
        self._leaving = True
        self.order(Finish())

    def _leave_as(self, answer: str | None) -> None:
        if answer == "detach":
            self.detach()
        elif answer is not None:
            self._leaving = True
            self.order(Stop() if answer == "stop" else Cancel())
            self.notify("The screen closes when the run has ended.", timeout=10)

    def detach(self) -> None:
        """Leaves; the run goes on."""
        self.status = ExitCode.DONE
        self.front.session.detach()
        self.exit()

    def terminate(self, exit_code: ExitCode) -> None:
        """Ends the job and the screen, as a signal asks."""
        self.status = exit_code
        self.front.session.interrupt(exit_code)
        self.exit(return_code=int(exit_code))

    def _check_terminal(self) -> None:
        if self._terminal_gone():
            self.detach()
