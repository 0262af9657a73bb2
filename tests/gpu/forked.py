"""Workers of a rehearsal: forks of a block's process, which has imported already what takes a worker seconds."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import threading
from typing import Any

from speedtui.engine.jobs import worker
from tests.simulated_cuda import present

WORKER = ["-m", "speedtui.engine.jobs.worker"]
STARTING = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """Starts a worker without an interpreter of its own; a process like any other for whoever started it.

    Everything else, and a worker that is started while there are threads, which a fork would not take along, is
    executed as ever.
    """

    def _execute_child(self, *given: Any) -> None:
        asked = STARTING.bind(self, *given).arguments
        if list(asked["args"][1:3]) != WORKER or threading.active_count() > 1:
            super()._execute_child(*given)  # type: ignore[misc]
            return
        self.pid = os.fork()
        if self.pid == 0:
            _be_the_worker(asked)
        self._child_created = True
        ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(asked[name] for name in ends))  # type: ignore[attr-defined]


def _be_the_worker(asked: dict[str, Any]) -> None:
    status = 1
    try:
        os.setsid()
        for number, name in enumerate(("p2cread", "c2pwrite", "errwrite")):
            os.dup2(asked[name], number)
        os.environ.clear()
        os.environ.update(asked["env"])
        sys.argv = [worker.__file__, *asked["args"][3:]]
        present().adopt()
        status = worker.main()
        worker.kill_children()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
