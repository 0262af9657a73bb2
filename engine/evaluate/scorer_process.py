"""The process of the user's metric: `python -m speedtui.engine.evaluate.scorer_process FILE:FUNCTION WORKER_PID`.

Two processes, in fact: the first watches, the second, its child, runs the user's code. So that nothing of the user's
can keep the watching from ending everything when the worker is gone, not even C code that holds Python's lock.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, NoReturn

import msgspec

from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.evaluate.scorer_messages import Loaded, ScorerReply, ScoringRequest, Unusable

WATCH_SECONDS = 0.5
"""Between two looks at whether the worker lives; a metric outlives it no longer."""
END = signal.SIGUSR1
"""From the worker to the first process: end everything. The signals that a person sends to all of a job do not."""
END_SECONDS = 2.0
"""For what was killed to be gone."""
TICK_SECONDS = 0.02
"""Between two looks at what is left."""
PR_SET_CHILD_SUBREAPER = 36
"""Of prctl(2)."""


def main() -> None:
    """Watches in the parent, serves in the child."""
    worker = int(sys.argv[2])
    adopt_orphans()
    child = os.fork()
    if child:
        watch(child, worker)
    _let_signals_pass()
    serve(sys.argv[1])


def adopt_orphans() -> None:
    """What the metric starts becomes this process's child when its parent ends, however it has detached itself: in a
    group or session of its own it could be found in no other way. Linux has it, others do without."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1)


def watch(child: int, worker: int) -> NoReturn:
    """Ends everything, itself too, when the worker is gone or asks for it, and when the child has ended."""
    for descriptor in (0, 1):  # else the child's end of them would not be noticed
        os.close(descriptor)
    numbers = {signal.SIGCHLD, END, signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    asked = None
    while True:
        status = reap(child)
        if os.getppid() != worker:  # looked at after the child, which may have ended for that very reason
            end_children()
            os.killpg(0, signal.SIGKILL)
        if status is not None or (asked is not None and asked.si_signo == END):
            end_children()
            code = os.waitstatus_to_exitcode(status) if status is not None else -signal.SIGKILL
            os._exit(code if code >= 0 else 128 - code)
        asked = signal.sigtimedwait({signal.SIGCHLD, END}, WATCH_SECONDS)


def reap(child: int) -> int | None:
    """The status of the child, once it has ended; also lets go what it has left and what has ended since."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if not ended:
            return found
        if ended == child:
            found = status


def end_children() -> None:
    """Kills every child, then those that become children by it, until there are none; for a while, as one that hangs in
    a driver cannot be killed."""
    import psutil  # most of its life this process only waits

    this, until = psutil.Process(), time.monotonic() + END_SECONDS
    while time.monotonic() < until and (children := this.children()):
        for one in children:
            with suppress(psutil.Error):
                one.kill()
        signal.sigtimedwait({signal.SIGCHLD}, TICK_SECONDS)
        reap(0)


def _let_signals_pass() -> None:
    """A signal sent to all of a job's processes ends the worker, in its own time, and that ends this one.

    Processes that the metric forks inherit the handler; in them it does what the default would have done.
    """
    owner = os.getpid()

    def passed(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, passed)


def serve(target: str) -> None:
    """Imports the metric and answers requests until there are no more."""
    requests, send = _own_pipes()
    from speedtui.engine.evaluate.metric import load_metric
    from speedtui.engine.evaluate.metric_calls import Calls

    file, _, function = target.rpartition(":")
    try:
        metric = load_metric(Path(file), function)
    except SpeedtuiError as error:
        send(Unusable(message=error.message, hint=error.hint))
        return
    calls = Calls(metric, send)
    send(Loaded(form=metric.form, takes=metric.takes, needs=metric.needs))
    for line in requests:
        calls.answer(msgspec.json.decode(line, type=ScoringRequest))


def _own_pipes() -> tuple[BinaryIO, Callable[[ScorerReply], None]]:
    """The pipes to the worker, out of reach of what the metric prints and reads."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what was printed before a crash is what one wants to read
    encode = msgspec.json.Encoder().encode

    def send(message: ScorerReply) -> None:
        left = memoryview(encode(message) + b"\n")
        while left:
            left = left[os.write(answers, left) :]

    return requests, send


if __name__ == "__main__":
    main()
