"""How the screen is left, and what becomes of the run: asked while something runs, detached from by default."""

from __future__ import annotations

import sys
import threading
import time

from speedtui.engine.commands import AnyCommand, Cancel, Finish, Stop
from speedtui.engine.errors import ExitCode
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.base_app import BaseApp
from speedtui.tui.command_sender import CommandSender
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.screens.leave import ask_leave

INSIST_SECONDS = 2.0
"""Between two times of asking to leave; somebody who asks again so soon will not read the question."""

WAITED_SECONDS = 1.0
"""Before it is said what is waited for; a session in a process of its own is let go in a tenth of that."""


class Quitting:
    """The way out."""

    def __init__(self, app: BaseApp, commands: CommandSender) -> None:
        self._app, self._commands = app, commands
        self.status: ExitCode | None = None
        """What the command ends with; None until that is known."""
        self._when_ended = False
        self._asked: OpenRun | None = None
        """The run that was asked about: the one that was started from here, else the one in front."""
        self._asked_at: float | None = None
        """Monotonic seconds; None once answered."""

    def ask(self) -> None:
        """Leaves, after asking when something runs; asked again while the question stands, it detaches."""
        app, own = self._app, self._app.runs.own
        asked = self._asked = own or app.front
        state = asked.state()
        if self._insists():
            self.detach()
        elif asked.ended:
            app.exit()
        elif own is None and len(app.runs.open) > 1:
            self.detach()
        elif asked.read_only or not state.status.busy:
            self._leave_idle(asked, state)
        else:
            self._asked_at = time.monotonic()
            question = ask_leave(state, named=len(app.runs.open) > 1, in_thread=asked.in_thread)
            app.push_screen(question, self._leave_as)

    def tell_of_waiting(self) -> None:
        """The screen is gone, but a job in a thread of this process ends only at its next step: says so."""
        timer = threading.Timer(WAITED_SECONDS, self._say_waiting)
        timer.daemon = True
        timer.start()

    def _say_waiting(self) -> None:
        if sys.__stderr__ is None or all(one.ended for one in self._app.runs.all):
            return
        try:
            sys.__stderr__.write("speedtui: the job ends after the step in progress; ctrl+c ends it at once\r\n")
            sys.__stderr__.flush()
        except (OSError, ValueError):
            return  # the terminal is gone

    def _insists(self) -> bool:
        return self._asked_at is not None and time.monotonic() - self._asked_at < INSIST_SECONDS

    def look(self) -> None:
        """Leaves once the run has ended that was asked to."""
        if self._when_ended and self._asked is not None and self._asked.ended:
            self._app.exit()

    def detach(self) -> None:
        """Leaves; the runs go on."""
        self.status = ExitCode.DONE
        self._app.runs.let_go()
        self._app.exit()

    def terminate(self, exit_code: ExitCode) -> None:
        """Ends the job and the screen, as a signal asks."""
        self.status = exit_code
        (self._app.runs.own or self._app.front).session.interrupt(exit_code)
        self._app.exit(return_code=int(exit_code))

    def _leave_idle(self, asked: OpenRun, state: RunState) -> None:
        """A study that waits for more is ended: nobody is left to give it anything."""
        if asked.read_only or state.status is not RunStatus.IDLE:
            self.detach()
            return
        self._end_with(asked, Finish())

    def _leave_as(self, answer: str | None) -> None:
        self._asked_at = None
        if answer == "detach":
            self.detach()
        elif answer is not None and self._asked is not None:
            self._end_with(self._asked, Stop() if answer == "stop" else Cancel())
            self._app.notify("The screen closes when the run has ended.", timeout=10)

    def _end_with(self, asked: OpenRun, command: AnyCommand) -> None:
        """The screen goes once the run has."""
        self._when_ended = True
        self._commands.pass_on(command, asked)
