"""What the screen says about events while it is open, and the step from a study to its training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from speedtui.engine.commands import Finish
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.events import CommandRefused, Notice, TrialPromoted, WorkerLost
from speedtui.tui.drawing.text import clean
from speedtui.tui.following import Following, Noteworthy

if TYPE_CHECKING:
    from textual.app import App

LONG_SECONDS = 10.0
"""Trouble stays longer than the usual five seconds."""


def tell(app: App[Any], event: Noteworthy, *, sent: set[str], fresh: bool) -> None:
    """Notifies of refusals of this screen's own commands, and of trouble that is fresh: since the screen was opened."""
    match event:
        case CommandRefused() if event.id in sent:
            _notify(app, event.reason, "warning", f"{event.command.replace('_', ' ')} refused")
        case WorkerLost() if fresh:
            after = "It is started again." if event.restarting else "Nothing runs now."
            _notify(app, f"{event.reason}. {after}", "error", "The worker was lost")
        case Notice() if fresh and event.level != "info":
            _notify(app, f"{event.text} {event.hint}", event.level)


def tell_error(app: App[Any], error: SpeedtuiError) -> None:
    """Why something could not be started."""
    _notify(app, f"{error.message} {error.hint}", "error")


def _notify(app: App[Any], text: str, severity: Literal["warning", "error"], title: str = "") -> None:
    app.notify(clean(text).strip(), title=title, severity=severity, timeout=LONG_SECONDS, markup=False)


class Promotion:
    """Waits until a trial is promoted, ends its study, and then lets the training take over the device."""

    def __init__(self, study: Following, trial: int) -> None:
        self._study, self._trial = study, trial
        self.config_file = ""
        """Of the promoted trial; empty until the worker has written it."""

    @property
    def note(self) -> str:
        """What is being waited for."""
        if not self.config_file:
            return f"promoting #{self._trial}"
        return "ending the study; then the training starts"

    def hear(self, event: Noteworthy) -> None:
        """The worker's answer."""
        if isinstance(event, TrialPromoted) and event.trial == self._trial and not self.config_file:
            self.config_file = event.config_file
            if not self._study.ended:
                self._study.send(Finish())

    def take_over_due(self) -> bool:
        """Whether the training can start."""
        return bool(self.config_file) and self._study.ended
