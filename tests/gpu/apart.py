"""Work in a process of its own, with a time limit, and nothing left of it afterwards."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2): processes whose parent has ended become this one's children, so that they can be found."""
LOOK_SECONDS = 0.02
ROUNDS, ROUND_SECONDS = 25, 0.2
"""Of killing: whose parent was killed is found in the next one. A process that a driver holds may not die at all."""
RAISED = 70
"""EX_SOFTWARE of sysexits.h: the work raised, and its traceback is in the log."""


@dataclass(frozen=True)
class Ended:
    """How it ended."""

    status: str
    """`ok`, `failed` (it raised), `crashed` (it died) or `timed out`."""
    reason: str
    seconds: float
    cpu_seconds: float = 0.0
    """Of all its processes."""


def take_responsibility() -> None:
    """What a killed block had started in a session of its own, such as a worker, can be ended with it from now on, and
    is when this process is asked to end."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))


def run_apart(work: Callable[[], None], log: Path, seconds: float) -> Ended:
    """Forks, so that what is imported here need not be imported again; stdout and stderr go to the end of `log`."""
    began, cpu = time.monotonic(), _cpu_of_children()
    pid = os.fork()
    if pid == 0:
        _be_the_child(work, log)
    try:
        code = _wait(pid, began + seconds)
    finally:
        end_descendants()
    return Ended(*_told(code, log, seconds), time.monotonic() - began, _cpu_of_children() - cpu)


def _told(code: int | None, log: Path, seconds: float) -> tuple[str, str]:
    """(status, reason)"""
    if code is None:
        return "timed out", f"killed after {seconds:.0f} s"
    if code == RAISED:
        return "failed", _last_words(log)
    if code < 0:
        return "crashed", f"killed by {signal.Signals(-code).name}"
    return ("crashed", f"exit status {code}") if code else ("ok", "")


def _cpu_of_children() -> float:
    """Seconds of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _be_the_child(work: Callable[[], None], log: Path) -> None:
    code = RAISED
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # the parent's own clearing up is the parent's


def _wait(pid: int, until: float) -> int | None:
    """Its exit code, negative for a signal; None where it has not ended by then."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > until:
            return None
        time.sleep(LOOK_SECONDS)


def end_descendants() -> None:
    """Kills every process below this one, and takes in what is left of them."""
    for _ in range(ROUNDS):
        children = psutil.Process().children(recursive=True)
        if not children:
            return
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, timeout=ROUND_SECONDS)


def _last_words(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it raised"
