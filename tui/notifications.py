"""What the screen says about events while it is open, and the step from a study to its training."""

from __future__ import annotations

import math
import os
from collections import deque
from typing import Literal

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.commands import Finish
from speedtui.engine.config.window import Window
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.state import RunState
from speedtui.engine.units import format_figure, format_seconds
from speedtui.tui.base_app import BaseApp
from speedtui.tui.drawing.text import clean, clock, roughly
from speedtui.tui.options import TrainingStart
from speedtui.tui.protocols import Notifies
from speedtui.tui.runs.open_run import REMEMBERED, Noteworthy, OpenRun
from speedtui.tui.terminal.ringing import ring
from speedtui.tui.textual_privates import driver_of

LONG_SECONDS = 10.0
"""Trouble stays longer than what is good to know."""
SHORT_SECONDS = 5.0
ANSWERS_TOLD = ("set", "evaluate", "checkpoint")
"""Commands whose effect shows only later, so that it is said when they are taken up."""

Severity = Literal["information", "warning", "error"]
VERDICT_TITLES: dict[e.Verdict, tuple[str, Severity]] = {
    "on_track": ("On track", "information"), "tight": ("Tight", "warning"), "late": ("Late", "warning"),
}  # fmt: skip

ENDINGS: dict[e.Outcome, tuple[str, Severity]] = {
    "ok": ("The run is done.", "information"), "late": ("The run is done, but late.", "warning"),
    "stopped": ("The run was stopped.", "warning"), "failed": ("The run failed.", "error"),
    "no_fit": ("No configuration fits in memory.", "error"),
}  # fmt: skip


def tell(app: Notifies, event: Noteworthy, *, sent: set[str], fresh: bool, run: str = "") -> None:
    """Notifies of refusals of this screen's own commands, and of trouble that is fresh: since the screen was opened.

    `run`: named with an end that is not that of the run in front.
    """
    match event:
        case e.CommandRefused() if event.id in sent:
            _notify(app, event.reason, "warning", f"{event.command.replace('_', ' ')} refused")
        case e.CommandApplied() if event.id in sent and event.command in ANSWERS_TOLD and event.detail:
            _notify(app, f"{event.command}: {event.detail}", "information")
        case e.WorkerLost() if fresh:
            after = "It is started again." if event.restarting else "Nothing runs now."
            _notify(app, f"{event.reason}. {after}", "error", "The worker was lost")
        case e.TrialFinished() if fresh and event.result.status is TrialStatus.OUT_OF_MEMORY:
            _notify(app, event.result.reason or "It does not fit.", "warning", f"Trial #{event.trial}: out of memory")
        case e.EvaluationCompleted() if fresh and event.kind == "full":  # the loss alone comes too often, and is drawn
            _notify(app, _evaluation_words(event), "information", timeout=SHORT_SECONDS)
        case e.RunFinished() if fresh:
            text, severity = ENDINGS[event.outcome]
            said = [_of(text, run), _sentence(event.reason), event.next]
            _notify(app, " ".join(filter(None, said)), severity)
        case e.Notice() if fresh and event.level != "info":
            _notify(app, f"{event.text} {event.hint}", event.level)


def _of(text: str, run: str) -> str:
    """`The run is done.` of the one in front, else `The run 20261121-120410-tune-fd60 is done.`"""
    return text.replace("The run", f"The run {run}", 1) if run else text


def _sentence(reason: str) -> str:
    """`stopped on request` as a sentence of its own."""
    whole = not reason or reason[-1] in ".!?"
    return f"{reason[:1].upper()}{reason[1:]}{'' if whole else '.'}"


def tell_error(app: Notifies, error: SpeedtuiError) -> None:
    """Why something could not be started."""
    _notify(app, f"{error.message} {error.hint}", "error")


def _evaluation_words(event: e.EvaluationCompleted) -> str:
    """`Evaluated at step 4800: loss 1.265, accuracy 0.613, the best so far; took 14.2 s`"""
    figures = {"loss": event.loss, **event.metrics}
    known = [f"{name} {format_figure(value)}" for name, value in figures.items() if value is not None]
    best = ["the best so far"] if event.best else []
    said = ", ".join([*known, *best])
    return f"Evaluated at step {event.step}{': ' if said else ''}{said}; took {format_seconds(event.seconds)}"


def _notify(
    app: Notifies, text: str, severity: Severity, title: str = "", *, timeout: float = LONG_SECONDS
) -> None:  # fmt: skip
    app.notify(clean(text).strip(), title=title, severity=severity, timeout=timeout)


class EventNotices:
    """Reads what came from the run in front since the last tick, and tells a person what matters of it."""

    def __init__(self, app: BaseApp, *, opened_at: float) -> None:
        """`opened_at`: wall clock when the screen was opened; older trouble stands on the screen and is not told."""
        self._app = app
        self._opened_at = opened_at
        self._verdicts = VerdictWatch()
        self._verdicts.look(app, app.front.state(), opened_at=math.inf)
        self._promotion: Promotion | None = None
        self._untold: deque[tuple[OpenRun, Noteworthy]] = deque(maxlen=REMEMBERED)
        """Came while the screen was frozen."""

    @property
    def note(self) -> str:
        """What the screen itself waits for."""
        return self._promotion.note if self._promotion is not None else ""

    def await_promotion(self, study: OpenRun, trial: int) -> None:
        """Starts the training of a trial as soon as it is promoted and the study has ended."""
        self._promotion = Promotion(study, trial)

    def await_end(self, study: OpenRun, wanted: TrainingStart) -> None:
        """Starts a training as soon as the study, which was asked to, has ended."""
        self._promotion = Promotion(study, wanted.trial, wanted)

    def read(self) -> None:
        """To be called at each tick."""
        for following in self._app.runs.all:
            self._read(following)
        if not self._app.drawing.frozen:
            self._tell_all()
            self._verdicts.look(self._app, self._app.front.state(), opened_at=self._opened_at)
        if self._promotion is not None and self._promotion.take_over_due():
            assert self._promotion.wanted is not None
            self._app.commands.train(self._promotion.wanted)
            self._promotion = None

    def _read(self, following: OpenRun) -> None:
        if following.error is not None and not following.error_told:
            following.error_told = True
            tell_error(self._app, following.error)
        for alert in following.alerts():
            driver = driver_of(self._app)
            if driver is not None and alert.wall >= self._opened_at:
                ring(driver, alert, following.state().config, os.environ)
        for event in following.new_events():
            self._untold.append((following, event))
            if self._promotion is not None:
                self._promotion.hear(event)

    def _tell_all(self) -> None:
        while self._untold:
            following, event = self._untold.popleft()
            fresh = following.state().wall(event.t) >= self._opened_at
            if not (isinstance(event, e.RunFinished) and self._is_seen(following)):
                run = following.state().run if following is not self._app.front else ""
                tell(self._app, event, sent=following.sent, fresh=fresh, run=run)

    def _is_seen(self, following: OpenRun) -> bool:
        """The Monitor says in full how its run ended."""
        view = self._app.view
        return following is self._app.front and view is not None and view.SCOPE == "monitor"


class VerdictWatch:
    """Notices when the verdict on the deadline becomes another one while the screen is open."""

    def __init__(self) -> None:
        self._last: dict[str, e.Verdict] = {}
        """By run: another one in front is no change."""

    def look(self, app: Notifies, run: RunState, *, opened_at: float) -> None:
        """Tells of a change, once; what was so before `opened_at` stands on the screen and is not told."""
        eta = run.training.eta if run.training is not None else None
        if eta is None or eta.verdict in (None, "measuring", self._last.get(run.run)):
            return
        self._last[run.run] = eta.verdict
        if run.wall(eta.t) > opened_at and run.window is not None and eta.p50_seconds is not None:
            finish = run.ahead(eta.t, eta.p50_seconds)
            title, severity = VERDICT_TITLES[eta.verdict]
            _notify(app, _verdict_text(finish, run.window, run.now), severity, title)


def _verdict_text(finish: float, window: Window, now: float) -> str:
    """`Finish 17:28, 52m to spare before 18:20.`"""
    spare = window.safe_until - finish
    gap = f"{roughly(spare)} to spare before" if spare >= 0 else f"{roughly(-spare)} after"
    return f"Finish {clock(finish, now)}, {gap} {clock(window.safe_until, now)}, the latest safe one."


class Promotion:
    """Waits until a trial is promoted, ends its study, and then lets the training take over the device."""

    def __init__(self, study: OpenRun, trial: int | None, wanted: TrainingStart | None = None) -> None:
        """`trial`: None where another configuration is written already and its study is ending."""
        self._study, self._trial = study, trial
        self.wanted = wanted
        """None until the worker has written the promoted trial's configuration."""

    @property
    def note(self) -> str:
        """What is being waited for."""
        if self.wanted is None:
            return f"promoting #{self._trial}"
        return "ending the study; then the training starts"

    def hear(self, event: Noteworthy) -> None:
        """The worker's answer."""
        if isinstance(event, e.TrialPromoted) and event.trial == self._trial and self.wanted is None:
            self.wanted = TrainingStart(config_file=event.config_file, trial=event.trial)
            if not self._study.ended:
                self._study.send(Finish())

    def take_over_due(self) -> bool:
        """Whether the training can start."""
        return self.wanted is not None and self._study.ended
