"""A job in the very thread that runs the session: for embedding, debugging and tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.jobs.execute import execute
from speedtui.engine.output import tracebacks_in
from speedtui.engine.runs import RunFolder, holding
from speedtui.engine.session.alert_sender import AlertSender, start_alerts
from speedtui.engine.session.base import FOLLOW_SECONDS, OnLine
from speedtui.engine.session.follower import FollowedRun


class ThreadSession(FollowedRun):
    """Runs the job itself; a small thread beside it follows the log."""

    def __init__(self, folder: RunFolder, *, wall: Callable[[], float] = time.time) -> None:
        """The folder holds the order and the configuration already; `wall`: the clock that deadlines are of."""
        super().__init__(folder)
        self._wall = wall
        self._alerts: AlertSender | None = None
        self._context: JobContext | None = None
        self._wanted: ExitCode | None = None
        self._done = threading.Event()

    def detach(self) -> None:
        """A job in this process cannot outlive it: it is stopped safely."""
        self.interrupt(ExitCode.DONE)

    def interrupt(self, exit_code: ExitCode) -> None:
        """Ends the job at its next step boundary. A thread cannot be killed."""
        self._wanted = self._wanted or exit_code
        if self._context is not None:
            self._context.request_stop(exit_code)

    def settle(self, waiting: Callable[[], None] | None = None) -> str:
        """Waits for the last alert, a little longer than it may take; what went wrong with it, or nothing."""
        return self._alerts.wait(waiting) if self._alerts is not None else ""

    def kill(self) -> None:
        """A thread cannot be killed.

        Raises:
            JobError: always.
        """
        raise JobError(
            "the job runs in a thread of this very program and cannot be killed alone",
            "`s` ends it safely at its next step.",
        )

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Runs the job to its end.

        Raises:
            RunFolderError: another worker holds this run.
        """
        reader = threading.Thread(target=self._follow, args=(on_line,), name="follower", daemon=True)
        with holding(self._folder.session_lock, shared=True), tracebacks_in(self._folder.worker_log):
            self._alerts = start_alerts(self._folder)
            reader.start()
            try:
                return execute(self._folder, self._take_context, replaceable=False, wall=self._wall)
            finally:
                self._done.set()
                reader.join()
                self._follower.read(on_line)

    def _take_context(self, context: JobContext) -> None:
        self._context = context
        if self._wanted is not None:
            context.request_stop(self._wanted)

    def _follow(self, on_line: OnLine | None) -> None:
        while not self._done.wait(FOLLOW_SECONDS):
            self._follower.read(on_line)
            self._look_at_disk(on_line)
