"""What is asked of the runs from this screen: commands, and the start of a training."""

from __future__ import annotations

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import SpeedtuiError
from speedtui.tui.base_app import BaseApp
from speedtui.tui.notifications import tell_error
from speedtui.tui.options import TrainingStart
from speedtui.tui.runs.open_run import OpenRun


class CommandSender:
    """Sends what can be sent, and says why where it cannot."""

    def __init__(self, app: BaseApp) -> None:
        self._app = app

    def refused(self, *, study: bool = False) -> bool:
        """Whether commands of the run in front, or of the study's, make no sense; says so."""
        following = self._app.study if study else self._app.front
        if following.read_only:
            self._app.notify(following.why_read_only, severity="warning")
        return following.read_only

    def accepted(self, *, study: bool = False) -> bool:
        """Whether somebody follows commands of that run; says why not."""
        if self.refused(study=study):
            return False
        if (self._app.study if study else self._app.front).ended:
            self._app.notify("The run is over: nothing follows commands any more.", severity="warning")
            return False
        return True

    def send(self, command: AnyCommand, *, study: bool = False) -> bool:
        """To the run in front, or to the study's; whether it was sent."""
        following = self._app.study if study else self._app.front
        return self.accepted(study=study) and self.pass_on(command, following)

    def pass_on(self, command: AnyCommand, following: OpenRun) -> bool:
        """To a run that follows commands; whether it was sent, and says why not."""
        try:
            following.send(command)
        except (SpeedtuiError, OSError) as error:
            self._app.notify(f"The command could not be sent: {error}", severity="error")
            return False
        return True

    def train(self, wanted: TrainingStart) -> None:
        """Starts a training and brings it to the front; the study stays on the Trials."""
        if self._app.options.train is None:
            return
        try:
            session = self._app.options.train(wanted)
        except SpeedtuiError as error:
            tell_error(self._app, error)
            return
        self._app.runs.add(session, keep_study=True)
        self._app.switch_mode("monitor")
