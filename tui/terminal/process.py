"""The terminal and the process around the app: file descriptors, signals, a connection that is gone."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from speedtui.engine.errors import ExitCode
from speedtui.engine.files import open_plain

STDIN, STDOUT, STDERR = 0, 1, 2


@contextmanager
def own_screen(log: Path) -> Iterator[None]:
    """Keeps file descriptors 1 and 2 off the screen.

    Textual draws on `sys.__stderr__` and asks `sys.__stdout__` for the terminal's size, so these get a descriptor
    of their own; whatever else writes, C libraries included, writes into the log.
    """
    saved_out, saved_err = os.dup(STDOUT), os.dup(STDERR)
    screen = os.fdopen(os.dup(STDERR), "w", encoding="utf-8", errors="replace")
    originals = sys.__stdout__, sys.__stderr__
    _flush()
    _point_at(log)
    sys.__stdout__ = sys.__stderr__ = screen  # type: ignore[misc]
    try:
        yield
    finally:
        _flush()
        sys.__stdout__, sys.__stderr__ = originals  # type: ignore[misc]
        os.dup2(saved_out, STDOUT)
        os.dup2(saved_err, STDERR)
        os.close(saved_out)
        os.close(saved_err)
        _close(screen)


def _point_at(log: Path) -> None:
    try:
        target = open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    except OSError:  # a run folder that can only be read
        target = os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, STDOUT)
    os.dup2(target, STDERR)
    os.close(target)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue


def _close(screen: object) -> None:
    try:
        screen.close()  # type: ignore[attr-defined]
    except OSError:
        return  # the terminal is gone


@contextmanager
def signals_handled(terminate: Callable[[ExitCode], None], hang_up: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT end the job, SIGHUP only the screen.

    The handlers look at the process id: a forked child inherits them, and must not end its parent's job.
    """
    owner = os.getpid()

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif number == signal.SIGHUP:
            hang_up()
        else:
            terminate(ExitCode.TERMINATED if number == signal.SIGTERM else ExitCode.INTERRUPTED)

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def stop_group() -> None:
    """Stops this process and what started it in the shell's job, such as make: a shell waits for all of them. Sessions
    and workers have groups of their own and go on."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    os.kill(0, signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, before)
    os.kill(os.getpid(), signal.SIGSTOP)


def terminal_gone() -> bool:
    """Whether nobody can type any more: the other end of the terminal was closed.

    Textual's input thread would spin at a closed terminal, so the app leaves before.
    """
    poll = select.poll()
    poll.register(STDIN, 0)  # hang-ups and errors are always reported
    return any(flags & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, flags in poll.poll(0))
