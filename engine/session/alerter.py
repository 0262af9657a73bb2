"""The process that sends a run's alerts: `python -m speedtui.engine.session.alerter RUN_FOLDER AFTER`.

One for a run, for as long as it goes on, whatever becomes of its worker and its session: it looks on like a screen, and
is there when both are killed. It holds a lock, so that nobody else sends; an alert is in the log before its command is
run, so that none is sent twice, by whichever of them. A recording that is played, and a screen that is attached, send
nothing.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.alerts.command import run_command
from speedtui.engine.alerts.rules import GONE, Alert, AlertRules
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import NotifySettings
from speedtui.engine.errors import RunFolderError, SpeedtuiError
from speedtui.engine.files import keep_private, open_plain
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.location import LogLocation, path_of_open
from speedtui.engine.output import warn
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.follower import WatchedRun
from speedtui.engine.units import parse_duration

FOLLOW_SECONDS = 0.25
"""Between two looks."""
START_SECONDS = 120.0
"""Until a worker has its lock: its imports may come from a slow disk."""
UNREADABLE_SECONDS = 120.0
"""That a log may not be readable, as on a server that starts anew."""
ALERT = "the alert"
"""Begins what is said of one that was not delivered."""


class Alerter(WatchedRun):
    """Follows a run to its end, through restarts of its worker, and runs the command for what is worth an alert."""

    def __init__(self, folder: RunFolder, notify: NotifySettings, after: float) -> None:
        """`after`: the run's time before which everything is old."""
        super().__init__(folder, None)
        self._notify = notify
        self._after = self.heard = after
        """`heard`: the run's time of what was read last."""
        self._rules = AlertRules(notify.on, run=folder.id, zero=time.time())
        self._due: deque[Alert] = deque()
        self._begun = self._read = time.monotonic()
        self._place = LogLocation(folder.path)
        self._place.changed()
        self._held = self._started = self._told = False
        """Whether somebody has taken the run up, a worker has begun, and its end was told, all since `after`."""

    def run(self) -> None:
        """Until nobody holds the run any more.

        Raises:
            RunFolderError: its folder is not in its place any more, or its log cannot be read for a long time.
        """
        absent = False
        while True:
            goes_on = self._goes_on()  # before the look: what was written last is then seen
            now = time.monotonic()
            if self._look(now):
                self._send_all()
                self._require_in_place()
                if goes_on:
                    self._held = True
                    with suppress(RunFolderError):  # the next look says whether it stays so
                        self._tell_stall(self._hear, now)
                elif self._over:
                    return
                elif absent and (self._started or now - self._begun >= START_SECONDS):
                    return self._tell_gone()
                absent = not goes_on
            time.sleep(FOLLOW_SECONDS)

    def _look(self, now: float) -> bool:
        """One look at the log; whether it could be read, which it may be again in a moment."""
        try:
            self._take_in(self._hear, now)
        except RunFolderError:
            if now - self._read >= UNREADABLE_SECONDS:
                raise
            return False
        self._read = now
        return True

    def _require_in_place(self) -> None:
        """Elsewhere nobody is seen to hold it, whoever does."""
        self._place.changed()
        if self.displaced and not self._over:
            raise RunFolderError(
                f"the run's folder {self._folder.path} was moved or removed: no more alerts of it are sent",
                "Move it back before its end.",
            )

    @property
    def displaced(self) -> bool:
        """Whether the folder was not in its place when it was looked for last."""
        return self._lost or not self._place.here

    def _goes_on(self) -> bool:
        return self._folder.goes_on() is not False

    @property
    def _over(self) -> bool:
        """Whether nothing more is to be told; an earlier end counts only where nobody has taken the run up since."""
        return self._told if self._held or self._started else self._rules.over

    def _hear(self, _line: bytes, event: e.AnyEvent) -> None:
        if not isinstance(event, e.Notice):  # which may be this process's own word, and not in the log
            self.heard = max(self.heard, event.t)
        if event.t > self._after:
            match event:
                case e.RunStarted():
                    self._started, self._told = True, False
                case e.RunFinished():
                    self._told = True
                case e.AlertSent() if event.key.startswith(GONE):
                    self._told = True
        alert = self._rules.see(event)
        if alert is not None and alert.t > self._after and alert.kind in self._notify.on:
            self._due.append(alert)

    def _tell_gone(self) -> None:
        gone = self._rules.gone(self._t())
        if gone.kind in self._notify.on:
            self._due.append(gone)
            self._send_all()

    def _send_all(self) -> None:
        """Those whose turn it is, but none that the log says was sent: that is read to its end by now."""
        while self._due:
            alert = self._due.popleft()
            if alert.key not in self._rules.sent:
                self._rules.sent.add(alert.key)
                self._send(alert)

    def _send(self, alert: Alert) -> None:
        assert self._notify.command is not None
        with suppress(OSError):  # a disk that takes nothing is worth an alert more than any other
            self._append(e.AlertSent(t=alert.t, alert=alert.kind, key=alert.key))
        folder = str(self._folder.path.resolve())
        failure = run_command(self._notify.command, alert, folder, parse_duration(self._notify.timeout))
        if failure:
            with suppress(OSError):
                text, hint = f"{ALERT} {alert.kind} was not delivered: {failure}", "notify.command is what was run."
                self._append(e.Notice(t=alert.t, level="warning", text=text, hint=hint))


def send_alerts(folder: RunFolder, after: float) -> None:
    """What the process does: waits for its turn, as long as another one follows the run, and follows it to its end.

    Raises:
        SpeedtuiError: the run is somebody else's, whose command is not run, or its settings cannot be read.
    """
    folder.require_obeyed()
    notify = load_settings(folder.config).notify
    while True:
        try:
            with hold_lock(folder.alert_lock):
                return _follow(folder, notify, after)
        except BlockingIOError:
            time.sleep(FOLLOW_SECONDS)


def _follow(folder: RunFolder, notify: NotifySettings, after: float) -> None:
    """To the run's end, wherever on its disk its folder is moved meanwhile.

    Raises:
        SpeedtuiError: the folder was removed or moved to another disk, or is somebody else's now.
    """
    known = open_plain(folder.alert_lock, os.O_RDONLY)
    try:
        while True:
            alerter = Alerter(folder, notify, after)
            try:
                return alerter.run()
            except RunFolderError:
                place = path_of_open(known) if alerter.displaced else None
                if place is None:
                    raise
            folder, after = RunFolder(place.parent), alerter.heard
            folder.require_obeyed()
    finally:
        os.close(known)


if __name__ == "__main__":
    keep_private()
    try:
        send_alerts(RunFolder(Path(sys.argv[1])), float(sys.argv[2]))
    except SpeedtuiError as error:
        warn(error.in_one)
        sys.exit(error.exit_code)
