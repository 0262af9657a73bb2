"""The process that sends a run's alerts, as the session has it: started, looked after, waited for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.context.order import read_order
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.files import appending
from speedtui.engine.regular_file import end_of_regular
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.alerter import ALERT
from speedtui.engine.session.follower import Follower
from speedtui.engine.units import parse_duration

END_SECONDS = 5.0
"""More than its time-out that a last alert is waited for."""
SLOW_SECONDS = 1.0
"""After which whoever waits is told what for."""
LAST_BYTES = 1 << 16
"""Of the log, in which failures of the last alerts are looked for."""


class AlertSender:
    """The process that sends a run's alerts, as the session sees it that has started it."""

    def __init__(self, folder: RunFolder, after: float) -> None:
        """Starts it; what is `after` or before, on the run's clock, is told already."""
        self._folder = folder
        self._after = after
        self._process = self._start()
        self._again = True
        """It may be started once more."""
        self._mute = False

    def look(self) -> str:
        """Starts it once more where it is lost; what to tell where that one is lost as well, once, or nothing."""
        if self._mute or not (status := self._process.poll()):
            return ""
        if self._again:
            self._again = False
            with suppress(OSError):
                self._process = self._start()
                return ""
        self._mute = True
        return self._failure(status)

    def wait(self, waiting: Callable[[], None] | None = None) -> str:
        """Until the last alert of a run that is over is sent, since whoever ends with it, such as a batch job or a
        container, would take the sender along; what went wrong, or nothing. `waiting` is called where it takes long."""
        if self._folder.worker_alive():
            return ""
        if (status := self._status(SLOW_SECONDS)) is None:
            if waiting is not None:
                waiting()
            status = self._status(self._most_seconds())
        if status is None:
            return "the last alert is still being sent"
        return self._failure(status) if status else self._undelivered()

    def _undelivered(self) -> str:
        """What the log says of alerts after the run's end, when nobody follows it any more; nothing where all went."""
        said: list[str] = []
        with suppress(OSError):
            for line in end_of_regular(self._folder.events, LAST_BYTES).splitlines():
                with suppress(ValueError):  # the first one may begin in its midst
                    event = e.decode(line)
                    if isinstance(event, e.RunFinished):
                        said.clear()
                    elif isinstance(event, e.Notice) and event.text.startswith(ALERT):
                        said.append(event.text)
        return "; ".join(said)

    def _most_seconds(self) -> float:
        with suppress(SpeedtuiError):
            return parse_duration(load_settings(self._folder.config).notify.timeout) + END_SECONDS
        return END_SECONDS

    def _status(self, seconds: float) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def _failure(self, status: int) -> str:
        return f"alerts were not sent: their process ended with status {status}, see {self._folder.worker_log}"

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "speedtui.engine.session.alerter", str(self._folder.path), repr(self._after)]
        with appending(self._folder.worker_log) as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )  # fmt: skip


def start_alerts(folder: RunFolder) -> AlertSender | None:
    """Starts the process where the run's settings name a command, and it is no plan, which somebody waits for; what the
    log has by now is not told any more."""
    try:
        wanted = load_settings(folder.config).notify.command and read_order(folder).job != "plan"
    except (SpeedtuiError, OSError, msgspec.DecodeError):  # the worker refuses such a folder, and says why
        return None
    if not wanted:
        return None
    earlier = Follower(folder)
    earlier.read()
    return AlertSender(folder, earlier.snapshot().t if earlier.snapshot().run else -1.0)
