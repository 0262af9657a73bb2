"""A look at a run whose worker somebody else started."""

from __future__ import annotations

import threading
import time

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.jobs.going_on import how_to_go_on
from speedtui.engine.runs import RunFolder, hold_lock
from speedtui.engine.session.base import OnLine
from speedtui.engine.session.follower import WatchedRun
from speedtui.engine.session.stall import StallBudgets

FOLLOW_SECONDS = 0.1


class AttachedSession(WatchedRun):
    """Follows and commands a run that is alive; on a finished one it only shows."""

    def __init__(self, folder: RunFolder, *, budgets: StallBudgets | None = None) -> None:
        """`budgets`: how long nothing may happen before it is called a stall."""
        super().__init__(folder, budgets)
        self._detached = threading.Event()

    def send(self, command: AnyCommand) -> None:
        """Appends to commands.jsonl.

        Raises:
            RunFolderError: the run has ended, so nobody would read it.
        """
        if not self._goes_on():
            raise RunFolderError(f"run {self._folder.id} has ended", "Start another one.")
        super().send(command)

    def detach(self) -> None:
        """Lets `run` return; the run goes on."""
        self._detached.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves; the run is not this session's to end."""
        self._detached.set()

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Follows the run from its first line to its end, or until detached; through restarts of its worker, too.

        Raises:
            JobError: its worker is gone without having ended it, and nobody is there to start another.
        """
        with hold_lock(self._folder.session_lock, shared=True):
            while not self._detached.is_set():
                now = time.monotonic()
                goes_on = self._goes_on()  # before the look: what it wrote last is then seen
                self._take_in(on_line, now)
                if not goes_on:
                    return self._end()
                self._tell_stall(on_line, now)
                time.sleep(FOLLOW_SECONDS)
        return ExitCode.DONE

    def _goes_on(self) -> bool:
        return self._folder.worker_alive() or self._folder.owned()

    def _end(self) -> ExitCode:
        code = self.snapshot().exit_code
        if code is None:
            advice = how_to_go_on(self._folder) or f"The end of {self._folder.worker_log} says more."
            raise JobError(f"the worker of run {self._folder.id} is gone and did not end it", advice)
        return ExitCode(code)
