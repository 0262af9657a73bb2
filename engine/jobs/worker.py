"""The worker process: `python -m speedtui.engine.jobs.worker RUN_FOLDER`."""

from __future__ import annotations

import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from speedtui.engine.context.context import JobContext
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.files import keep_private
from speedtui.engine.jobs.execute import execute
from speedtui.engine.jobs.result import BROKEN, RESTARTABLE, SPENT, TrainingBroken, WorkerSpent
from speedtui.engine.output import warn
from speedtui.engine.runs import RunFolder
from speedtui.engine.workload.aside import left_behind

_SIGNALS = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
AGAIN_SECONDS = 3.0
"""A signal to all of a job's processes, as a batch system or a service manager sends it, reaches the worker twice
within moments: by itself and through its session. Only a later one asks again."""
PR_SET_PDEATHSIG = 1
"""Of prctl(2): the signal a process gets when the thread that made it ends."""


def stop_on_signals(context: JobContext) -> None:
    """SIGINT and SIGTERM end the job at its next step boundary; once more, they end the process.

    Forked loader workers inherit the handler; in them it does what the default would have done.
    """
    owner = os.getpid()
    asked_at: float | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal asked_at
        now = time.monotonic()
        again = asked_at is not None and now - asked_at >= AGAIN_SECONDS
        if os.getpid() != owner or again:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        asked_at = now if asked_at is None else asked_at
        context.request_stop(_SIGNALS[signal.Signals(number)])

    for number in _SIGNALS:
        signal.signal(number, stop)


def outlive_the_terminal() -> None:
    """A hang-up is for the screen: the worker, and what it starts, goes on."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def write_stacks_on_request() -> None:
    """SIGUSR1, and a crash, write the stacks of all threads into worker.log.

    It is done in C and needs no lock of the interpreter: that may be what a hung device call holds.
    """
    faulthandler.enable(file=sys.stderr, all_threads=True)
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True, chain=False)


def notice_suspensions() -> None:
    """SIGCONT stays pending for the run's clock to find; it lets the process go on all the same. Before any thread is
    started, all of which inherit it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})


def take_children_along() -> None:
    """Forked children, such as loader processes, are killed when this process is; without that they would find out
    seconds later, or never while they read.

    Only those of the main thread: another thread's would be killed when that thread ends. Linux has it, others do
    without.
    """
    if not sys.platform.startswith("linux"):
        return
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    owner = os.getpid()
    forked_by_main = False

    def before() -> None:
        nonlocal forked_by_main
        forked_by_main = threading.get_native_id() == owner

    def in_child() -> None:
        if forked_by_main:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != owner:  # it died before it could be said
                os._exit(1)

    os.register_at_fork(before=before, after_in_child=in_child)


def main() -> int:
    """Runs the ordered job; stdout and stderr are the run's worker.log."""
    keep_private()
    notice_suspensions()
    write_stacks_on_request()
    outlive_the_terminal()
    take_children_along()
    try:
        return execute(RunFolder(Path(sys.argv[1])), stop_on_signals, restartable=RESTARTABLE in sys.argv[2:])
    except TrainingBroken as broken:
        warn(f"the training failed: {broken}")
        return BROKEN
    except WorkerSpent as spent:
        warn(f"this worker is spent: {spent}")
        return SPENT
    except SpeedtuiError as error:
        warn(f"{error.message}. {error.hint}")
        return error.exit_code


def kill_children() -> None:
    """What is left of its loader processes, for which Python would wait, and torch complain when they are gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    multiprocessing = sys.modules.get("multiprocessing")
    for child in multiprocessing.active_children() if multiprocessing is not None else ():
        with suppress(OSError, ValueError):
            child.kill()


def leave(status: int) -> None:
    """Ends this process. Where another one goes on, it ends without what Python and torch do at their end: on a broken
    device that may wait for ever, or abort the process and with it hide the status; so may a call that was left behind.
    """
    if status in (SPENT, BROKEN) or left_behind():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    ended = main()
    kill_children()
    leave(ended)
