"""Whether a worker that says nothing is stopped, seen from outside: by SIGSTOP, a batch system, a debugger."""

from __future__ import annotations

from contextlib import suppress

import psutil

from speedtui.engine.errors import JobError
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.killing import worker_of
from speedtui.engine.state import RunState

STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def is_stopped(folder: RunFolder, state: RunState) -> bool:
    """Whether its worker is on this machine, alive and stopped; false where that cannot be seen.

    A process that waits for a device or a disk is not stopped: that is a stall.
    """
    with suppress(JobError, psutil.Error, OSError):
        return psutil.Process(worker_of(folder, state)).status() in STOPPED
    return False
