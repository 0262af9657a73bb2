"""A user's own program as a run."""

from __future__ import annotations

import subprocess
import sys

from speedtui.engine.files import appending
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.process import APART, ProcessSession


class ProgramSession(ProcessSession):
    """Starts what starts the program, and follows it; nothing of it is started again."""

    ending = "passed on to the program; once more to kill it"

    def __init__(self, folder: RunFolder, *, own_output: bool) -> None:
        """`own_output`: the program has this process's own stdin, stdout and stderr, and what it says is kept nowhere;
        otherwise it is in worker.log."""
        super().__init__(folder)
        self._own_output = own_output

    def _new_worker(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "speedtui.engine.program.supervisor", str(self._folder.path)]
        if self._own_output:
            return subprocess.Popen(command, start_new_session=True)
        with appending(self._folder.worker_log) as log:
            return subprocess.Popen(command, **APART, stdout=log, stderr=log)
