"""What screens, dialogs and panes may use of the app, which none of them knows: what is shown, what may be commanded,
what may be opened. `tui.app` has all of it; whoever needs a part asks for that part."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widget import Widget

from speedtui.engine.commands import AnyCommand
from speedtui.tui.frame import TimeRange
from speedtui.tui.options import ScreenOptions, TrainingStart
from speedtui.tui.runs.open_run import OpenRun
from speedtui.tui.runs.open_runs import OpenRuns

Result = TypeVar("Result")
"""What a dialog comes back with."""


class ShownRuns(Protocol):
    """The runs that are open, which of them is shown, and how."""

    @property
    def options(self) -> ScreenOptions:
        """How the screen is to be shown, and what can be started from it."""

    @property
    def runs(self) -> OpenRuns:
        """All that are open."""

    @property
    def front(self) -> OpenRun:
        """The run on the Monitor."""

    @property
    def study(self) -> OpenRun:
        """The run whose trials are listed."""

    @property
    def obeyed(self) -> bool:
        """Whether somebody is there to follow commands of the run in front."""

    @property
    def drawing(self) -> Draws:
        """How the screen in front is drawn."""


class Notifies(Protocol):
    """Tells a person something in passing."""

    def notify(
        self, message: str, *, title: str = "", severity: SeverityLevel = "information", timeout: float | None = None
    ) -> None:
        """`timeout`: seconds for which it is shown; None for Textual's own."""


class Opens(Notifies, Protocol):
    """Brings something else to the front."""

    def push_screen(self, screen: Screen[Result], callback: Callable[[Result | None], None] | None = None) -> object:
        """Opens a dialog; `callback` gets what it comes back with, None where nothing was chosen."""

    def switch_mode(self, mode: str) -> object:
        """Goes to a full screen by its name."""


class SendsCommands(Protocol):
    """Asks something of the runs."""

    def refused(self, *, study: bool = False) -> bool:
        """Whether commands of the run in front, or of the study's, make no sense; says so."""

    def send(self, command: AnyCommand, *, study: bool = False) -> bool:
        """To the run in front, or to the study's; whether it was sent."""

    def train(self, wanted: TrainingStart) -> None:
        """Starts a training and brings it to the front; the study stays on the Trials."""


class AwaitsTraining(Protocol):
    """The step from a study to its training."""

    @property
    def note(self) -> str:
        """What is waited for; empty where nothing is."""

    def await_promotion(self, study: OpenRun, trial: int) -> None:
        """Starts the training of a trial as soon as it is promoted and the study has ended."""

    def await_end(self, study: OpenRun, wanted: TrainingStart) -> None:
        """Starts a training as soon as the study, which was asked to, has ended."""


class Draws(Protocol):
    """How the screen in front is drawn."""

    frozen: bool
    """Whether the picture is held."""
    axis: TimeRange
    """Stretch of time that charts over time show."""
    log: bool
    """Whether equal ratios of the loss are equally high."""

    def now(self) -> None:
        """Draws every pane, whatever its pace."""

    def excuse(self) -> None:
        """What is sent next was asked for, and does not count as too much."""

    def repaint(self) -> None:
        """Sends the whole screen again."""


class TellsOfWaiting(Protocol):
    """The way out."""

    def tell_of_waiting(self) -> None:
        """The screen is gone: says what is waited for, where that takes long."""


class TerminalUse(Protocol):
    """What the terminal's driver uses: it sends what the options ask for, and tells what became of the terminal."""

    @property
    def options(self) -> ScreenOptions:
        """Whether it takes ASCII alone, and titles."""

    @property
    def focused(self) -> Widget | None:
        """The widget that keys go to."""

    @property
    def drawing(self) -> Draws:
        """Draws everything again when the terminal is back."""

    @property
    def quitting(self) -> TellsOfWaiting:
        """Is told when the terminal is put back."""

    def ignore_pasted(self, characters: int) -> None:
        """Says that text does not act as keys."""


class AppUse(ShownRuns, Opens, Protocol):
    """All of it, for a screen that shows the runs, opens dialogs and passes commands on."""

    @property
    def commands(self) -> SendsCommands:
        """What may be asked of the runs."""

    @property
    def notices(self) -> AwaitsTraining:
        """What is started once a run has answered."""

    @property
    def can_train(self) -> bool:
        """Whether a promoted configuration can be trained from here."""

    @property
    def study_config(self) -> dict[str, Any]:
        """The configuration that candidates differ from."""
