"""A look at a run whose worker somebody else started."""

from __future__ import annotations

import threading
import time

from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.runs import RunFolder, hold_lock
from speedtui.engine.session.base import OnLine
from speedtui.engine.session.follower import FollowedRun

FOLLOW_SECONDS = 0.1


class AttachedSession(FollowedRun):
    """Follows and commands a run that is alive; on a finished one it only shows."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__(folder)
        self._detached = threading.Event()

    def send(self, command: AnyCommand) -> None:
        """Appends to commands.jsonl.

        Raises:
            RunFolderError: the run has ended, so nobody would read it.
        """
        if not self._folder.worker_alive():
            raise RunFolderError(f"run {self._folder.id} has ended", "Start another one.")
        super().send(command)

    def detach(self) -> None:
        """Lets `run` return; the run goes on."""
        self._detached.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves; the run is not this session's to end."""
        self._detached.set()

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Follows the run from its first line to its end, or until detached.

        Raises:
            JobError: its worker is gone without having ended it.
        """
        with hold_lock(self._folder.session_lock, shared=True):
            while not self._detached.is_set():
                alive = self._folder.worker_alive()
                self._follower.read(on_line)
                state = self._follower.snapshot()
                if state.exit_code is not None:
                    return ExitCode(state.exit_code)
                if not alive:
                    raise JobError(
                        f"the worker of run {self._folder.id} is gone and did not end it",
                        f"Go on with `speedtui train --resume {self._folder.id}`, or start the study again.",
                    )
                time.sleep(FOLLOW_SECONDS)
        return ExitCode.DONE
