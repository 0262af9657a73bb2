"""The app: what is open, which screen is in front, and where each key's work is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import PurePath
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.screen import Screen

from speedtui.engine.commands import AnyCommand, Pause, Resume, Stop
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.session.base import Session
from speedtui.engine.state import RunStatus
from speedtui.tui.fleet import Fleet
from speedtui.tui.following import Following
from speedtui.tui.keys import Scope, bindings, keys_of
from speedtui.tui.leaving import Leaving
from speedtui.tui.news import News, tell_error
from speedtui.tui.options import ScreenOptions
from speedtui.tui.redraw import Redraw
from speedtui.tui.screens.advisor import AdvisorScreen
from speedtui.tui.screens.help import HelpScreen
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.screens.plan import PlanScreen
from speedtui.tui.screens.trials import TrialsScreen
from speedtui.tui.screens.view import View
from speedtui.tui.theme import PLAIN_THEME, choose_theme

TERMINAL_CHECK_SECONDS = 1.0
"""Between two looks at whether the terminal is still there."""
STYLES = ("base", "monitor", "trials", "plan", "advisor", "dialogs")


class SpeedtuiApp(App[None]):
    """Shows one session, and what is started from it."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [f"style/{name}.tcss" for name in STYLES]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "monitor": MonitorScreen, "trials": TrialsScreen, "plan": PlanScreen, "advisor": AdvisorScreen,
    }  # fmt: skip
    BINDINGS = bindings("everywhere", "replay")
    TITLE = "speedtui"

    def __init__(
        self, session: Session, options: ScreenOptions, *, terminal_gone: Callable[[], bool] = lambda: False
    ) -> None:
        theme = choose_theme(os.environ)  # before Textual takes NO_COLOR out of the environment
        super().__init__(ansi_color=True if theme.startswith("ansi") else None)
        self.theme = theme if theme in self.available_themes else PLAIN_THEME
        self.set_class(self.theme.startswith("ansi"), "-plain")
        self.options = options
        self.fleet = Fleet(session, self._follow)
        self.drawing = Redraw(self)
        self.news = News(self, opened_at=options.clock())
        self.leaving = Leaving(self)
        self._terminal_gone = terminal_gone
        self.loop: asyncio.AbstractEventLoop | None = None

    def on_mount(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.switch_mode(self.options.start_screen)
        self.fleet.start()
        self.drawing.start()
        self.set_interval(TERMINAL_CHECK_SECONDS, self._check_terminal)

    def on_unmount(self) -> None:
        self.fleet.let_go()

    def _follow(self, following: Following) -> None:
        self.run_worker(following.run, thread=True, group="engine", exit_on_error=False)

    def tick(self) -> None:
        """Hears what came, draws what changed."""
        self.news.read()
        self.leaving.look()
        self.drawing.tick()

    def draw_now(self) -> None:
        """Draws every pane of the screen in front."""
        self.drawing.now()

    def _check_terminal(self) -> None:
        if self._terminal_gone():
            self.leaving.detach()

    # --- what is shown ---

    @property
    def view(self) -> View | None:
        """The full screen in front; None while a dialog is."""
        return self.screen if isinstance(self.screen, View) else None

    @property
    def scope(self) -> Scope:
        """Whose keys there are besides those that work everywhere."""
        base = self.screen_stack[0] if self.screen_stack else None
        return base.SCOPE if isinstance(base, View) else "monitor"

    @property
    def front(self) -> Following:
        """The run on the Monitor."""
        return self.fleet.front

    @property
    def study(self) -> Following:
        """The run whose trials are listed."""
        return self.fleet.study

    @property
    def read_only(self) -> bool:
        """Whether nobody follows commands: the recording or the finished run that the screen was opened on."""
        return self.options.read_only and self.front is self.fleet.open[0]

    @property
    def obeyed(self) -> bool:
        """Whether somebody is there to follow commands of the run in front."""
        return not self.read_only and not self.front.ended and self.front.state().status.busy

    @property
    def can_train(self) -> bool:
        """Whether a promoted configuration can be trained from here."""
        return self.options.train is not None and self.study is self.front

    @property
    def study_config(self) -> dict[str, Any]:
        """The configuration that candidates differ from."""
        return self.study.state().config

    @property
    def note(self) -> str:
        """What the screen itself waits for."""
        return self.news.note

    def train_promoted(self, trial: int) -> None:
        """Starts the training of a trial as soon as it is promoted and the study has ended."""
        self.news.await_promotion(self.study, trial)

    def start_training(self, config_file: str) -> None:
        """Starts a training and brings it to the front; the study stays on the Trials."""
        if self.options.train is None:
            return
        try:
            session = self.options.train(config_file)
        except SpeedtuiError as error:
            tell_error(self, error)
            return
        self.fleet.add(session, keep_study=True)
        self.action_show_screen("monitor")

    # --- commands ---

    def refuses_commands(self) -> bool:
        """Whether commands make no sense here; says so."""
        if self.read_only:
            self.notify("This run is only shown: commands have no effect.", severity="warning")
        return self.read_only

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
        view = self.view
        return view.check_action(action, parameters) if view is not None else True

    def action_pause(self) -> None:
        """Pauses or resumes; a recording as well."""
        from speedtui.tui.replaying import pause_replay

        if not pause_replay(self):
            paused = self.front.state().status is RunStatus.PAUSED
            self.order(Resume() if paused else Pause())

    def action_stop_safely(self) -> None:
        """Ends the job; the screen stays."""
        self.order(Stop())

    # --- each of these in a module of its own, imported when it is needed: the first paint need not wait for it ---

    def action_kill(self) -> None:
        """Kills the worker, after asking."""
        from speedtui.tui.killing import ask_and_kill

        ask_and_kill(self)

    def action_profiles(self) -> None:
        """Profiles side by side, one of them for the next run."""
        from speedtui.tui.profiles import choose_profile

        choose_profile(self)

    def action_runs(self) -> None:
        """All runs, one of them to look at."""
        from speedtui.tui.choosing import choose_run

        choose_run(self)

    def action_next_run(self, by: int) -> None:
        """Another open run."""
        self.fleet.step(by)
        self.draw_now()

    def action_replay_speed(self, steps: int) -> None:
        """A recording faster or slower, by a factor of two a step."""
        from speedtui.tui.replaying import change_speed

        change_speed(self, steps)

    def action_replay_seek(self, steps: int) -> None:
        """A recording back or on, by a fiftieth of it a step."""
        from speedtui.tui.replaying import seek

        seek(self, steps)

    def action_copy(self) -> None:
        """Copies what the cursor is on."""
        from speedtui.tui.copying import copy_from

        if self.view is not None:
            copy_from(self, self.view)

    def action_next_theme(self) -> None:
        """The next theme."""
        from speedtui.tui.appearance import next_theme

        next_theme(self)

    def action_mouse(self) -> None:
        """Mouse on or off."""
        from speedtui.tui.appearance import toggle_mouse

        toggle_mouse(self)

    # --- the screen ---

    def action_show_screen(self, name: str) -> None:
        """Goes to a screen."""
        self.switch_mode(name)

    def action_rate(self, steps: int) -> None:
        """Slower or faster."""
        self.drawing.change_rate(steps)

    def action_freeze(self) -> None:
        """Holds the picture, or lets it go on."""
        self.drawing.frozen = not self.drawing.frozen
        self.draw_now()

    def action_redraw(self) -> None:
        """Draws everything again, for a terminal that was written over."""
        self.draw_now()
        self.screen.refresh(layout=True)

    def action_help(self) -> None:
        """Shows the keys."""
        self.push_screen(HelpScreen(self.scope))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: the keys of this screen, by what they do."""
        for key in (*keys_of(self.scope), *keys_of("everywhere")):
            target = screen if key.scope != "everywhere" else self
            if key.id != "screen.palette":
                yield SystemCommand(key.help, f"key {key.shown}", partial(self.run_action, key.action, target))
        yield SystemCommand("theme", "choose colours", self.action_change_theme)

    # --- leaving ---

    async def action_quit(self) -> None:
        """What Textual binds to ctrl+q."""
        self.leaving.ask()

    def action_help_quit(self) -> None:
        """What Textual binds to ctrl+c."""
        self.leaving.ask()

    def action_leave(self) -> None:
        """Leaves, after asking when something runs."""
        self.leaving.ask()

    def detach(self) -> None:
        """Leaves; the run goes on."""
        self.leaving.detach()

    def terminate(self, exit_code: ExitCode) -> None:
        """Ends the job and the screen, as a signal asks."""
        self.leaving.terminate(exit_code)
