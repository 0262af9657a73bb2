"""Runs a session to its end as JSON lines, as plain lines or on the screen, and says what to do next."""

from __future__ import annotations

import errno
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from types import FrameType

import msgspec

from speedtui.engine import events as e
from speedtui.engine.clean import clean, shell_line
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ExitCode, SpeedtuiError
from speedtui.engine.output import say, say_line, warn
from speedtui.engine.regular_file import end_of_regular
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.base import Session
from speedtui.engine.session.follower import FollowedRun
from speedtui.engine.session.replay import ReplaySession
from speedtui.tui.commands.options import Common, Output
from speedtui.tui.commands.progress import say_passed_over
from speedtui.tui.commands.words import Words
from speedtui.tui.options import ScreenOptions
from speedtui.tui.streams import stdout_failure

DEFAULT_SCREEN = ScreenOptions()
WORKER_LOG_LINES = 40
"""Shown with -v when a job failed."""
WORKER_LOG_BYTES = 1 << 16
"""Read for them."""


def follow(
    session: Session, common: Common, *, screen: ScreenOptions = DEFAULT_SCREEN, started: Sequence[Session] = ()
) -> ExitCode:
    """Runs the session and shows it; returns the exit code.

    `screen`: how it is shown on a terminal; `started`: filled with what is started from that screen.
    """
    if common.output is Output.SCREEN:
        code = _on_screen(session, screen, common)
        _say_end(started[-1] if started else session, common, code)
        _settle([session, *started])
        return code
    if common.no_screen:
        warn(clean(f"speedtui: {common.no_screen}"))
    reader = _EventPrinter(session, common)
    if not isinstance(session, AttachedSession | ReplaySession) and common.output is Output.PLAIN and not common.quiet:
        say(clean(f"{datetime.now():%H:%M:%S} starting run {session.folder.id}"))  # its imports may take seconds
    with interrupting(session):
        code = _run(session, reader)
    if not reader.unread:
        _say_end(session, common, code)
        reader.tell_failure()
    _settle([session])
    return code


class _WaitedEnough(Exception):
    """Nobody wants to wait any longer."""


def _settle(sessions: Sequence[Session]) -> None:
    """Waits for what the jobs, which have ended, have still to send; a signal ends only the waiting."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _WaitedEnough

    try:
        with _handled_by(stop):
            for one in sessions:
                if isinstance(one, FollowedRun) and (wrong := one.settle(_say_sending)):
                    warn(clean(f"speedtui: {wrong}"))
    except _WaitedEnough:
        warn("speedtui: the last alert is still being sent")


def _say_sending() -> None:
    warn("speedtui: sending the last alert")


def _on_screen(session: Session, screen: ScreenOptions, common: Common) -> ExitCode:
    from speedtui.tui.launch import show

    runs, plan = screen.runs or common.runs, screen.plan or partial(_plan, common)
    return show(session, options=msgspec.structs.replace(screen, runs=runs, plan=plan, **common.look.values()))


def _plan(common: Common, settings: Settings, measure: bool) -> Session:
    from speedtui.tui.commands.starting import plan_settings

    return plan_settings(common, settings, measure=measure)


def _run(session: Session, reader: _EventPrinter) -> ExitCode:
    try:
        return session.run(reader)
    except SpeedtuiError:
        say_passed_over(session.snapshot().passed_over)
        raise


def _say_end(session: Session, common: Common, code: ExitCode) -> None:
    state = session.snapshot()
    if common.output is not Output.JSON:
        well = code is ExitCode.DONE  # what to do after a failure goes to stderr, with its reason
        text = summary_of(session, next_step=well) if state.outcome is not None else _left_running(session)
        if text:
            say(text)
    if common.output is Output.JSON or state.outcome is None:  # else the summary says so
        say_passed_over(state.passed_over)
    if code is not ExitCode.DONE and state.reason:
        warn(clean(f"speedtui: {state.reason}"))
        if common.verbose:
            _show_worker_log(session)
    if state.next and (common.output is Output.JSON or code is not ExitCode.DONE):
        warn(clean(state.next))


def summary_of(session: Session, *, next_step: bool = True) -> str:
    """What a run came to, in a few lines."""
    # Imported at the end of a run: the first paint need not wait for reports.
    from speedtui.engine.report.document import expected_of
    from speedtui.engine.report.summary import summarize

    return summarize(session.snapshot(), next_step=next_step, expected=expected_of(session.folder))


def _left_running(session: Session) -> str:
    if session.folder.worker_alive():
        name = session.folder.id
        return f"Run {clean(name)} goes on. Look at it again:\n{shell_line('speedtui', 'attach', name)}"
    return ""


def _show_worker_log(session: Session) -> None:
    try:
        end = end_of_regular(session.folder.worker_log, WORKER_LOG_BYTES).decode(errors="replace")
    except OSError:
        return
    lines = (
        end.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    )  # a bar of progress ends its lines so
    warn("\n".join(lines[-WORKER_LOG_LINES:]))


@contextmanager
def interrupting(session: Session) -> Iterator[None]:
    """SIGINT and SIGTERM end the job safely; a second one kills its worker."""
    told = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        session.interrupt(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
        if not told and session.ending:
            told = True
            warn(f"speedtui: {session.ending}")

    with _handled_by(stop):
        yield


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


class _EventPrinter:
    """Writes each event: as it stands in the log for --json, else in words.

    A closed pipe ends the job safely; a full disk ends only the writing, since the log has it all.
    """

    def __init__(self, session: Session, common: Common) -> None:
        self._session = session
        self._write = _raw if common.json else Words(quiet=common.quiet).write
        self.unread = False
        self._mute = False

    def __call__(self, line: bytes, event: e.AnyEvent) -> None:
        if not self._mute:
            self._write(line, event)
            self.tell_failure()

    def tell_failure(self) -> None:
        """Where stdout takes nothing any more, says so once, and where it all is; a pipe's reader has had enough."""
        failure = stdout_failure()
        if failure is None or self._mute:
            return
        self._mute = True
        if failure.errno == errno.EPIPE or isinstance(self._session, ReplaySession):  # which is there to be read
            self.unread = True
            self._session.interrupt(ExitCode.INTERRUPTED)
        else:
            warn(clean(f"speedtui: {failure.strerror}; what the job does is in {self._session.folder.events}"))


def _raw(line: bytes, event: e.AnyEvent) -> None:
    say_line(line)
