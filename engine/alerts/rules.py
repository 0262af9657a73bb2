"""Which events of a run somebody wants to hear of who does not look, each once."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.clean import clean
from speedtui.engine.config.settings import AlertKind
from speedtui.engine.config.window import Window
from speedtui.engine.state.event_words import describe_nonfinite
from speedtui.engine.state.liveness import SIGNS_OF_LIFE
from speedtui.engine.state.wall import WallFollower
from speedtui.engine.units import format_span, zone_beside

TITLES: dict[AlertKind, str] = {
    "ended": "run ended", "failed": "run failed", "stalled": "run stalled", "late": "run is late",
    "on_track": "run is on track again", "non_finite": "run is not finite", "lost": "worker lost",
}  # fmt: skip
OUTCOMES: dict[e.Outcome, str] = {
    "ok": "is done", "late": "is done, but late", "stopped": "was stopped", "failed": "failed",
    "no_fit": "ended: nothing fits in memory",
}  # fmt: skip

GONE = "gone"
"""How the key of a loss begins that no event tells of: of the run's last moment that one does."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to be told, once."""

    kind: AlertKind
    key: str
    """The same for everybody who reads the log, and for no other thing of the run."""
    t: float
    """On the run's clock."""
    wall: float
    """Seconds since the epoch."""
    run: str
    verdict: e.Verdict | None
    """On the deadline, as told last."""
    title: str
    """A few words."""
    text: str
    """A sentence or two, on one clean line."""
    cause: e.AnyEvent | None
    """What happened; None where the run is silent because nobody is there any more."""


class AlertRules:
    """Reads a log from its start, in order, and says what is worth an alert: decided already by the events themselves,
    by the verdict, the watch for stalls, the watch for what is not finite. Here it is only told apart from the same
    thing told again, as by a worker that was started anew."""

    def __init__(self, wanted: Collection[AlertKind], *, run: str = "", zero: float = 0.0) -> None:
        """`wanted`: the kinds that are; `run`: its name, and `zero`: the wall clock at its t = 0, in seconds since the
        epoch, until its start is heard of."""
        self._wanted = wanted
        self._wall = WallFollower(zero)
        self._run = run
        self._t = 0.0
        self._window: Window | None = None
        self._verdict: e.Verdict | None = None
        self._late = self._stalled = False
        self.sent: set[str] = set()
        """Keys of those that the log says were sent."""
        self.over = False
        """The run was ended, and nobody has taken it up since."""

    def see(self, event: e.AnyEvent) -> Alert | None:
        """Takes in one event of any kind; what it is worth, whether it was sent or not."""
        self._wall.see(event)
        self._t = max(self._t, event.t)
        if isinstance(event, SIGNS_OF_LIFE):
            self._stalled = False
        match event:
            case e.RunStarted():
                self._on_started(event)
            case e.AlertSent():
                self.sent.add(event.key)
            case e.RunFinished():
                self.over = True
                kind: AlertKind = "failed" if event.outcome in ("failed", "no_fit") else "ended"
                return self._alert(kind, event, f"{OUTCOMES[event.outcome]}{_reason(event.reason)}", event.next)
            case e.WorkerLost() if event.restarting or "failed" not in self._wanted:  # else its failure is told next
                after = "another one is started" if event.restarting else "no other one is started"
                return self._alert("lost", event, f"lost its worker: {event.reason}; {after}")
            case e.Stalled() if not self._stalled:
                self._stalled = True
                return self._alert("stalled", event, _stalled(event))
            case e.NonFiniteFound():
                key = f"non_finite-{event.since}"
                return self._alert("non_finite", event, f"is not finite: {describe_nonfinite(event)}", key=key)
            case e.EtaUpdated():
                return self._on_estimate(event)
        return None

    def gone(self, t: float) -> Alert:
        """That its worker is gone without having ended it, and nobody is there who would."""
        words = "lost its worker, and nobody is there to start another one"
        return self._alert("lost", None, words, key=f"{GONE}-{self._t}", t=t)

    def _on_started(self, event: e.RunStarted) -> None:
        if event.window != self._window:
            self._late = False
        self._run, self._window, self.over = event.run, event.window, False

    def _on_estimate(self, event: e.EtaUpdated) -> Alert | None:
        self._verdict = event.verdict
        if event.verdict == "late" and not self._late:
            self._late = True
            return self._alert("late", event, f"is late: {self._finish(event)}")
        if event.verdict == "on_track" and self._late:
            self._late = False
            return self._alert("on_track", event, f"is on track again: {self._finish(event)}")
        return None

    def _finish(self, event: e.EtaUpdated) -> str:
        window, now = self._window, self._wall.at(event.t)
        if window is None or event.p50_seconds is None:
            return "of its finish is nothing known"
        finish = now + event.p50_seconds
        room = window.deadline - finish
        side = f"{format_span(abs(room))} {'before' if room >= 0 else 'after'}"
        return f"the finish is expected at {_clock(finish, now)}, {side} the deadline {_clock(window.deadline, now)}"

    def _alert(
        self, kind: AlertKind, cause: e.AnyEvent | None, words: str, more: str = "", *, key: str = "", t: float = 0.0
    ) -> Alert:  # fmt: skip
        t = cause.t if cause is not None else t
        sentence = f"Run {self._run} {words}".rstrip(".") + "."
        return Alert(
            kind=kind, key=key or f"{kind}-{t}", t=t, wall=self._wall.at(t), run=self._run, verdict=self._verdict,
            title=f"speedtui: {TITLES[kind]}", text=clean(f"{sentence} {more}".strip()), cause=cause,
        )  # fmt: skip


def document(alert: Alert, folder: str) -> dict[str, Any]:
    """What the command reads on its stdin."""
    return {
        "event": alert.kind, "run": alert.run, "folder": folder, "verdict": alert.verdict, "title": alert.title,
        "text": alert.text, "time": alert.wall, "t": alert.t, "key": alert.key,
        "cause": msgspec.to_builtins(alert.cause) if alert.cause is not None else None,
    }  # fmt: skip


def _reason(reason: str) -> str:
    return f": {reason}" if reason else ""


def _stalled(event: e.Stalled) -> str:
    return (
        f"has stalled: no sign of life for {format_span(event.seconds)} in {event.phase}, where "
        f"{format_span(event.budget_seconds)} is the most expected"
    )


def _clock(epoch: float, now: float) -> str:
    moment, reference = datetime.fromtimestamp(epoch), datetime.fromtimestamp(now)
    form = "%H:%M" if moment.date() == reference.date() else "%a %d %b %H:%M"
    return f"{moment:{form}}{zone_beside(epoch, now)}"
