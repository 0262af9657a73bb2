"""A worker's process as seen from outside: how it is found, whether it is stopped, what its threads do, how a person
kills it and its run ends."""

from __future__ import annotations

import os
import signal
import socket
import uuid
from contextlib import suppress
from pathlib import Path

import psutil

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.errors import ExitCode, JobError
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

KILL = "kill"
"""What the log calls it, so that every session that looks on knows that it was wanted."""
ON_REQUEST = "killed on request"
WORKER_MODULES = {b"speedtui.engine.jobs.worker", b"speedtui.engine.program.supervisor"}
"""What a worker is started as, in a session of its own that it leads; a user's program is of its supervisor's."""


def worker_of(folder: RunFolder, state: RunState) -> int:
    """The process id of the run's worker, which is on this machine and nothing else.

    Raises:
        JobError: there is none, or it cannot be reached from here.
    """
    if folder.worker_alive() is False:
        raise JobError(f"no worker of run {folder.id} is alive", "There is nothing to kill.")
    if state.host and state.host != socket.gethostname():
        raise JobError(f"the worker of run {folder.id} is on {state.host}", "Kill it there, or end it safely with s.")
    pid = _leader_of(state.pid)
    arguments = arguments_of(pid)
    if WORKER_MODULES.isdisjoint(arguments) or folder.id.encode() not in map(os.path.basename, arguments):
        raise JobError(
            f"run {folder.id} has no worker process of its own that can be seen from here",
            "With --engine thread, or from within another container, it ends with s at its next step.",
        )
    return pid


def _leader_of(pid: int | None) -> int:
    """Of its session; 0, which is no process, where it is gone or not to be seen."""
    with suppress(OSError):
        return os.getsid(pid) if pid is not None else 0
    return 0


def kill(folder: RunFolder, pid: int, t: float) -> None:
    """Kills a worker with all processes of its group; `t`: the run's time now, for the log, which says so first."""
    asked = e.CommandApplied(t=t, id=uuid.uuid4().hex[:12], command=KILL, detail="its worker is ended at once")
    with suppress(OSError):  # a disk that takes nothing is no reason to let it live
        append_event(folder.events, asked)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def is_kill(event: e.AnyEvent) -> bool:
    """Whether somebody has asked for it here."""
    return isinstance(event, e.CommandApplied) and event.command == KILL


def killed_trial(state: RunState, t: float) -> e.TrialFinished | None:
    """The end of the trial that ran, so that no later worker takes it up again; None where none ran."""
    running = state.study.running if state.study is not None else None
    if running is None:
        return None
    seconds = round(t - (running.started_at or t), 3)
    result = TrialResult(status=TrialStatus.FAILED, reason=ON_REQUEST, seconds=seconds)
    return e.TrialFinished(t=t, trial=running.candidate.id, result=result)


def end_of_killed(folder: RunFolder, t: float) -> e.RunFinished:
    """The run's last word where no other worker comes."""
    return e.RunFinished(
        t=t, outcome="stopped", exit_code=ExitCode.INTERRUPTED, reason=f"its worker was {ON_REQUEST}",
        next=how_to_go_on(folder) or f"The end of {folder.worker_log} says what it was doing.",
    )  # fmt: skip


STOPPED = (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)


def is_stopped(folder: RunFolder, state: RunState) -> bool:
    """Whether its worker is on this machine, alive and stopped by SIGSTOP, a batch system or a debugger.

    False where that cannot be seen. A process that waits for a device or a disk is not stopped: that is a stall.
    """
    with suppress(JobError, psutil.Error, OSError):
        worker_of(folder, state)
        return psutil.Process(state.pid).status() in STOPPED
    return False


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
