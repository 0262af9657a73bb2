"""The worker of a run that is a user's own program: `python -m speedtui.engine.program.supervisor RUN_FOLDER`.

It starts the program, hands on the signals that it gets, and tells of its end, whoever still looks on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Program, read_order
from speedtui.engine.errors import RunFolderError, SpeedtuiError
from speedtui.engine.files import users_umask
from speedtui.engine.jobs.execute import open_context, run_started
from speedtui.engine.locks import hold_lock
from speedtui.engine.output import warn
from speedtui.engine.program.environment import program_environment
from speedtui.engine.program.inside import UNMETERED
from speedtui.engine.report.document import write_run_report
from speedtui.engine.runs import RunFolder

NOT_FOUND, NOT_RUNNABLE = 127, 126
"""Of a program that is not there or cannot be run, as a shell has it."""
KILLED = 128
"""And more: the number of the signal that ended it."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM)
STOPPED = {KILLED + number for number in PASSED_ON}


def supervise(folder: RunFolder) -> int:
    """Runs the program that the folder orders; its exit code, of one that was killed as a shell has it.

    Raises:
        RunFolderError: another worker holds this run, or nothing is ordered.
    """
    try:
        with hold_lock(folder.worker_lock):
            folder.require_obeyed()
            order = read_order(folder)
            if order.program is None:
                raise RunFolderError(f"{folder.order}: names no program", "Only `speedtui run` makes such a run.")
            _tell(folder, begins=True)
            code, reason = _run(folder, order.program)
            _tell(folder, code=code, reason=reason)
            write_run_report(folder)
            return code
    except BlockingIOError:
        raise RunFolderError(
            f"{folder.path}: a worker is writing this run already", "`speedtui attach` shows it."
        ) from None


def _run(folder: RunFolder, program: Program) -> tuple[int, str]:
    """(exit code, why it is none of the program's own or empty)."""
    try:
        child = subprocess.Popen(
            program.command, cwd=program.folder, env=program_environment(folder), umask=users_umask()
        )
    except FileNotFoundError as error:
        return NOT_FOUND, f"{error.filename}: there is no such program"
    except OSError as error:
        return NOT_RUNNABLE, f"{error.filename}: cannot be run: {error.strerror}"
    with _passing_on():
        code = child.wait()
    return (KILLED - code, f"killed by {signal.Signals(-code).name}") if code < 0 else (code, "")


@contextmanager
def _passing_on() -> Iterator[None]:
    """Signals go on to the whole group, as a terminal sends them; a hang-up is for the screen."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # it is one of the group
        os.killpg(0, number)
        signal.signal(number, pass_on)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    for number in PASSED_ON:
        signal.signal(number, signal.SIG_IGN)


def _tell(folder: RunFolder, *, begins: bool = False, code: int = 0, reason: str = "") -> None:
    """Of the program's beginning or end; between them the log is the program's."""
    with ExitStack() as stack:
        context = open_context(folder, Settings(), read_order(folder), stack)
        if begins:
            context.emit(run_started(context, context.settings), flush=True)
            return
        _tell_unmetered(context)
        ended = reason or f"the program ended with exit status {code}"
        context.finish(
            e.RunFinished(
                t=context.t, outcome="ok" if code == 0 else "stopped" if code in STOPPED else "failed", exit_code=code,
                reason="" if code == 0 else ended, books=_up_to_now(context.before.books, context.t),
            )
        )  # fmt: skip


def _up_to_now(books: e.Books | None, t: float) -> e.Books:
    """What came after the program's last word of its trainings is the program's own."""
    before = books if books is not None else e.Books(wall=0.0, phases={}, unaccounted=0.0)
    other = before.phases.get("other", 0.0) + max(t - before.wall, 0.0)
    return msgspec.structs.replace(before, wall=max(t, before.wall), phases={**before.phases, "other": other})


def _tell_unmetered(context: JobContext) -> None:
    path = context.folder.path / UNMETERED
    if path.exists():
        reason = path.read_text(encoding="utf-8", errors="replace")
        context.notice(f"a training was not metered: {reason}", level="warning")
    elif context.before.training is None:
        context.notice(
            "nothing was metered: no training of transformers.Trainer began", level="warning",
            hint="Is it Python, and does it train with transformers' Trainer?",
        )  # fmt: skip


def main() -> int:
    """stdout and stderr are the program's, or the run's worker.log."""
    try:
        return supervise(RunFolder(Path(sys.argv[1])))
    except SpeedtuiError as error:
        warn(f"{error.message}. {error.hint}")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
