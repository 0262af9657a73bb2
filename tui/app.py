"""The app: what is open, which screen is in front, and where each key's work is done."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from textual.command import Provider
from textual.events import Paste
from textual.filter import LineFilter
from textual.screen import ModalScreen, Screen

from speedtui.engine.commands import Pause, Resume, Stop
from speedtui.engine.session.base import Session
from speedtui.engine.state import RunStatus
from speedtui.engine.units import plural
from speedtui.tui.base_app import BaseApp
from speedtui.tui.command_sender import CommandSender
from speedtui.tui.keys import bindings
from speedtui.tui.notifications import LONG_SECONDS, EventNotices
from speedtui.tui.options import ScreenOptions
from speedtui.tui.quitting import Quitting
from speedtui.tui.redraw import Redraw
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.runs.open_runs import OpenRuns
from speedtui.tui.screens.monitor import MonitorScreen
from speedtui.tui.terminal.driver import TerminalDriver
from speedtui.tui.terminal.theme import PLAIN_THEME, Colourless, choose_theme, contrast_theme, no_colour

TERMINAL_CHECK_SECONDS = 1.0
"""Between two looks at whether the terminal is still there."""
STYLES = ("base", "monitor", "trials", "plan", "advisor", "dialogs")


def _trials() -> Screen[None]:
    from speedtui.tui.screens.trials import TrialsScreen

    return TrialsScreen()


def _plan() -> Screen[None]:
    from speedtui.tui.screens.plan import PlanScreen

    return PlanScreen()


def _advisor() -> Screen[None]:
    from speedtui.tui.screens.advisor import AdvisorScreen

    return AdvisorScreen()


def _commands() -> type[Provider]:
    from speedtui.tui.palette import KeyCommands

    return KeyCommands


class SpeedtuiApp(BaseApp):
    """Shows one session, and what is started from it."""

    CSS_PATH: ClassVar[list[str | PurePath]] = [f"style/{name}.tcss" for name in STYLES]
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = {
        "monitor": MonitorScreen, "trials": _trials, "plan": _plan, "advisor": _advisor,
    }  # fmt: skip
    BINDINGS = bindings("replay", "everywhere")
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_commands}
    TITLE = "speedtui"

    drawing: Redraw
    commands: CommandSender
    notices: EventNotices

    def __init__(
        self, session: Session, options: ScreenOptions, *, terminal_gone: Callable[[], bool] = lambda: False
    ) -> None:
        theme = choose_theme(os.environ, options.theme, few_colours=options.slow_link)
        self._colourless = Colourless() if no_colour(os.environ, options.theme) else None
        os.environ.pop("NO_COLOR", None)  # Textual would turn colours into greys
        super().__init__(driver_class=None if os.environ.get("TEXTUAL_DRIVER") else TerminalDriver)
        self.no_color = self._colourless is not None
        self.register_theme(contrast_theme())
        self.theme = theme if theme in self.available_themes else PLAIN_THEME
        self.style_once()
        self.options = options
        self.runs = OpenRuns(session, self._follow, read_only=options.read_only)
        self.drawing = Redraw(self, self.tick)
        self.commands = CommandSender(self)
        self.notices = EventNotices(self, opened_at=options.clock())
        self.quitting = Quitting(self, self.commands)
        self._terminal_gone = terminal_gone
        self.loop: asyncio.AbstractEventLoop | None = None

    def watch_theme(self, theme: str) -> None:
        """The terminal's own colours know no shades: the styles have rules of their own for them."""
        self.set_class(self.current_theme.ansi, "-plain")

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without colours there is nothing else to change in them."""
        return super().get_line_filters() if self._colourless is None else [self._colourless]

    def on_mount(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.set_keymap(self.options.keymap)
        for warning in self.options.warnings:
            self.notify(warning, severity="warning", timeout=LONG_SECONDS)
        self.switch_mode(self.options.start_screen)
        self.runs.start()
        if self.options.choose:
            self.call_after_refresh(self.action_runs)
        self.drawing.start()
        self.set_interval(TERMINAL_CHECK_SECONDS, self._check_terminal)

    def on_unmount(self) -> None:
        self.runs.let_go()

    def _follow(self, following: OpenRun) -> None:
        self.run_worker(following.run, thread=True, group="engine", exit_on_error=False)

    def tick(self) -> None:
        """Hears what came, draws what changed."""
        self.notices.read()
        self.quitting.look()
        self.drawing.tick()

    def _check_terminal(self) -> None:
        if self._terminal_gone():
            self.quitting.detach()

    # --- commands ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greys the keys that do nothing now."""
        view = self.view
        return view.check_action(action, parameters) if view is not None else True

    def action_pause(self) -> None:
        """Pauses or resumes; a recording as well."""
        from speedtui.tui.runs.replaying import pause_replay

        if not pause_replay(self):
            paused = self.front.state().status is RunStatus.PAUSED
            self.commands.send(Resume() if paused else Pause())

    def action_stop_safely(self) -> None:
        """Ends the job, after asking; the screen stays."""
        if self.commands.accepted():
            from speedtui.tui.screens.leave import ask_stop

            self.push_screen(ask_stop(self.front.state()), self._stop_as)

    def _stop_as(self, answer: str | None) -> None:
        if answer == "stop":
            self.commands.send(Stop())

    # --- each of these in a module of its own, imported when it is needed: the first paint need not wait for it ---

    def action_kill(self) -> None:
        """Kills the worker, after asking."""
        from speedtui.tui.runs.killing import ask_and_kill

        ask_and_kill(self)

    def action_profiles(self) -> None:
        """Profiles side by side, one of them for the next run."""
        from speedtui.tui.draft.profiles import choose_profile

        choose_profile(self)

    def action_runs(self) -> None:
        """All runs, one of them to look at."""
        from speedtui.tui.runs.choosing import choose_run

        choose_run(self)

    def action_next_run(self, by: int) -> None:
        self.runs.step(by)
        self.drawing.now()

    def action_replay_speed(self, steps: int) -> None:
        """A recording faster or slower, by a factor of two a step."""
        from speedtui.tui.runs.replaying import change_speed

        change_speed(self, steps)

    def action_replay_seek(self, steps: int) -> None:
        """A recording back or on, by a fiftieth of it a step."""
        from speedtui.tui.runs.replaying import seek

        seek(self, steps)

    def action_copy(self) -> None:
        from speedtui.tui.terminal.copying import copy

        if self.view is not None:
            copy(self, *self.view.copy_text())

    def action_next_theme(self) -> None:
        from speedtui.tui.terminal.appearance import next_theme

        next_theme(self)

    def action_mouse(self) -> None:
        from speedtui.tui.terminal.appearance import toggle_mouse

        toggle_mouse(self)

    # --- the screen ---

    def action_show_screen(self, name: str) -> None:
        self.switch_mode(name)

    def action_rate(self, steps: int) -> None:
        self.drawing.change_rate(steps)

    def action_freeze(self) -> None:
        """Holds the picture, or lets it go on."""
        self.drawing.frozen = not self.drawing.frozen
        self.drawing.now()

    def action_redraw(self) -> None:
        """Draws everything again, for a terminal that was written over."""
        self.drawing.repaint()

    def action_help(self) -> None:
        from speedtui.tui.screens.help import HelpScreen

        frame = self.drawing.frame
        replaying = frame is not None and frame.replay is not None
        self.push_screen(HelpScreen(self.scope, keymap=self.options.keymap, frame=frame, replaying=replaying))

    # --- leaving ---

    def action_suspend(self) -> None:
        """Gives the terminal back to the shell, until it brings the screen to the front again; the run goes on."""
        if self.runs.own is not None and self.runs.own.in_thread and not self.runs.own.ended:
            self.notify("The job runs in this program and would be held, too: space pauses it.", severity="warning")
        else:
            self.action_suspend_process()

    def on_paste(self, event: Paste) -> None:
        """What no field took; a terminal says with the text that it was pasted."""
        self.ignore_pasted(len(event.text))

    def ignore_pasted(self, characters: int) -> None:
        """Says that text does not act as keys."""
        self.notify(f"{plural(characters, 'character')} at once: taken for pasted text, and ignored.", timeout=5)

    async def action_quit(self) -> None:
        """What Textual binds to ctrl+q."""
        self.action_leave()

    def action_help_quit(self) -> None:
        """What Textual binds to ctrl+c."""
        self.action_leave()

    def action_leave(self) -> None:
        """Leaves, after asking when something runs; an open dialog gives way to the question."""
        while isinstance(self.screen, ModalScreen):
            self.pop_screen()
        self.quitting.ask()
