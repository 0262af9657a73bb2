"""Asks a worker on this machine what its threads are doing."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState


def ask_for_stacks(folder: RunFolder, state: RunState) -> bool:
    """Has the worker write the stacks of all its threads into worker.log; whether it could be asked.

    The signal would end a process that does not expect it, and a process id may by now, or from within another
    container, be another process's: so only a process is asked that was started for this run and catches it.
    """
    pid = state.pid
    if pid is None or state.host != socket.gethostname() or folder.worker_alive() is False:
        return False
    if not _works_for(pid, folder) or not _catches(pid, signal.SIGUSR1):
        return False
    with suppress(OSError):
        os.kill(pid, signal.SIGUSR1)
        return True
    return False


def arguments_of(pid: int) -> list[bytes]:
    """What a process was started with; nothing where that cannot be seen."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _works_for(pid: int, folder: RunFolder) -> bool:
    return any(os.path.basename(argument) == folder.id.encode() for argument in arguments_of(pid))


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((line.partition(":")[2] for line in lines if line.startswith("SigCgt")), "0")
    return bool(int(caught, 16) >> (number - 1) & 1)
