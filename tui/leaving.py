"""How the screen is left, and what becomes of the run: asked while something runs, detached from by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine.commands import Cancel, Finish, Stop
from speedtui.engine.errors import ExitCode
from speedtui.engine.state import RunState, RunStatus
from speedtui.tui.screens.leave import ask_leave

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


class Leaving:
    """The way out."""

    def __init__(self, app: SpeedtuiApp) -> None:
        self._app = app
        self.status: ExitCode | None = None
        """What the command ends with; None until that is known."""
        self._when_ended = False

    def ask(self) -> None:
        """Leaves, after asking when something runs."""
        app = self._app
        state = app.front.state()
        if app.front.ended:
            app.exit()
        elif app.read_only or not state.status.busy:
            self._leave_idle(state)
        else:
            app.push_screen(ask_leave(state), self._leave_as)

    def look(self) -> None:
        """Leaves once the run has ended that was asked to."""
        if self._when_ended and self._app.front.ended:
            self._app.exit()

    def detach(self) -> None:
        """Leaves; the run goes on."""
        self.status = ExitCode.DONE
        self._app.front.session.detach()
        self._app.exit()

    def terminate(self, exit_code: ExitCode) -> None:
        """Ends the job and the screen, as a signal asks."""
        self.status = exit_code
        self._app.front.session.interrupt(exit_code)
        self._app.exit(return_code=int(exit_code))

    def _leave_idle(self, state: RunState) -> None:
        """A study that waits for more is ended: nobody is left to give it anything."""
        if self._app.read_only or state.status is not RunStatus.IDLE:
            self.detach()
            return
        self._when_ended = True
        self._app.order(Finish())

    def _leave_as(self, answer: str | None) -> None:
        if answer == "detach":
            self.detach()
        elif answer is not None:
            self._when_ended = True
            self._app.order(Stop() if answer == "stop" else Cancel())
            self._app.notify("The screen closes when the run has ended.", timeout=10)
