"""The process that sends a run's alerts: `python -m speedtui.engine.session.alerter RUN_FOLDER AFTER`.

One for a run, for as long as it goes on, whatever becomes of its worker and its session: it looks on like a screen, and
is there when both are killed. It holds a lock, so that nobody else sends; an alert is in the log before its command is
run, so that none is sent twice, by whichever of them. A recording that is played, and a screen that is attached, send
nothing.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.alerts.command import run_command
from speedtui.engine.alerts.rules import Alert, AlertRules
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import NotifySettings
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.files import keep_private, open_plain
from speedtui.engine.locks import hold_lock
from speedtui.engine.output import warn
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.follower import Follower, WatchedRun
from speedtui.engine.units import parse_duration

FOLLOW_SECONDS = 0.25
"""Between two looks."""
START_SECONDS = 120.0
"""Until a worker has its lock: its imports may come from a slow disk."""
END_SECONDS = 5.0
"""More than its time-out that a last alert is waited for."""


class Alerter(WatchedRun):
    """Follows a run to its end, through restarts of its worker, and runs the command for what is worth an alert."""

    def __init__(self, folder: RunFolder, notify: NotifySettings, after: float) -> None:
        """`after`: the run's time before which everything is old."""
        super().__init__(folder, None)
        self._notify = notify
        self._after = after
        self._rules = AlertRules(notify.on)
        self._due: deque[Alert] = deque()
        self._begun = time.monotonic()
        self._started = False

    def run(self) -> None:
        """Until nobody holds the run any more."""
        while True:
            goes_on = self._goes_on()  # before the look: what was written last is then seen
            now = time.monotonic()
            self._take_in(self._hear, now)
            self._send_all()
            if not goes_on:
                if not self._started and now - self._begun < START_SECONDS and not self._rules.over:
                    time.sleep(FOLLOW_SECONDS)
                    continue
                return self._end()
            self._tell_stall(self._hear, now)
            time.sleep(FOLLOW_SECONDS)

    def _goes_on(self) -> bool:
        return self._folder.worker_alive() or self._folder.owned()

    def _hear(self, _line: bytes, event: e.AnyEvent) -> None:
        if isinstance(event, e.RunStarted) and event.t > self._after:
            self._started = True
        alert = self._rules.see(event)
        if alert is not None and alert.t > self._after and alert.kind in self._notify.on:
            self._due.append(alert)

    def _end(self) -> None:
        gone = None if self._rules.over else self._rules.gone(self._t())
        if gone is not None and gone.kind in self._notify.on:
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
                text, hint = f"the alert {alert.kind} was not delivered: {failure}", "notify.command is what was run."
                self._append(e.Notice(t=alert.t, level="warning", text=text, hint=hint))


def start_alerts(folder: RunFolder) -> subprocess.Popen[bytes] | None:
    """Starts the process where the run's settings name a command; what the log has by now is not told any more."""
    try:
        command = load_settings(folder.config).notify.command
    except SpeedtuiError:  # the worker refuses such settings, and says why
        return None
    if not command:
        return None
    earlier = Follower(folder)
    earlier.read()
    after = earlier.snapshot().t if earlier.snapshot().run else -1.0
    log = open_plain(folder.worker_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "speedtui.engine.session.alerter", str(folder.path), repr(after)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)


def await_alerts(process: subprocess.Popen[bytes], folder: RunFolder) -> str:
    """Waits until the last alert of a run that is over is sent, since whoever ends with it, such as a batch job or a
    container, would take the sender along; what went wrong, or nothing."""
    if folder.worker_alive():
        return ""
    try:
        status = process.wait(parse_duration(load_settings(folder.config).notify.timeout) + END_SECONDS)
    except (subprocess.TimeoutExpired, SpeedtuiError):
        return "the last alert is still being sent"
    return f"alerts were not sent: their process ended with status {status}, see {folder.worker_log}" if status else ""


def send_alerts(folder: RunFolder, after: float) -> None:
    """What the process does: waits for its turn, as long as another one follows the run, and follows it to its end.

    Raises:
        SpeedtuiError: the run is somebody else's, whose command is not run, or its settings cannot be read.
    """
    folder.require_obeyed()
    alerter = Alerter(folder, load_settings(folder.config).notify, after)
    while True:
        try:
            with hold_lock(folder.alert_lock):
                return alerter.run()
        except BlockingIOError:
            time.sleep(FOLLOW_SECONDS)


if __name__ == "__main__":
    keep_private()
    try:
        send_alerts(RunFolder(Path(sys.argv[1])), float(sys.argv[2]))
    except SpeedtuiError as error:
        warn(error.in_one)
        sys.exit(error.exit_code)
