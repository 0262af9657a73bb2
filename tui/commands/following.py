"""Runs a session to its end as JSON lines, as plain lines or on the screen, and says what to do next."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import FrameType

import click

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from speedtui.engine.report.summary import summarize
from speedtui.engine.session.base import Session
from speedtui.engine.state.lines import describe
from speedtui.engine.units import format_seconds, format_span
from speedtui.tui.commands.options import Common, Output

STEP_LINE_SECONDS = 5.0
"""Between two plain lines about training steps."""
PROGRESS_LINE_SECONDS = 2.0
WORKER_LOG_LINES = 40
"""Shown with -v when a job failed."""


def follow(
    session: Session, common: Common, *, screen: object | None = None, started: Sequence[Session] = ()
) -> ExitCode:
    """Runs the session and shows it; returns the exit code.

    `screen`: the ScreenOptions to use on a terminal; `started`: filled with what is started from that screen.
    """
    if common.output is Output.SCREEN:
        code = _on_screen(session, screen)
        session = started[-1] if started else session
    else:
        reader = _Lines(session, common)
        with interrupting(session):
            code = session.run(reader)
        if reader.pipe_closed:
            return code
    _say_end(session, common, code)
    return code


def _on_screen(session: Session, screen: object | None) -> ExitCode:
    from speedtui.tui.launch import ScreenOptions, show

    return show(session, options=screen if isinstance(screen, ScreenOptions) else ScreenOptions())


def _say_end(session: Session, common: Common, code: ExitCode) -> None:
    state = session.snapshot()
    if common.output is not Output.JSON:
        well = code is ExitCode.DONE  # what to do after a failure goes to stderr, with its reason
        text = summarize(state, next_step=well) if state.outcome is not None else _left_running(session)
        if text:
            click.echo(text)
    if code is not ExitCode.DONE and state.reason:
        click.echo(f"speedtui: {state.reason}", err=True)
        if common.verbose:
            _show_worker_log(session)
    if state.next and (common.output is Output.JSON or code is not ExitCode.DONE):
        click.echo(state.next, err=True)


def _left_running(session: Session) -> str:
    if session.folder.worker_alive():
        return f"Run {session.folder.id} goes on. Look at it again: speedtui attach {session.folder.id}"
    return ""


def _show_worker_log(session: Session) -> None:
    try:
        lines = session.folder.worker_log.read_text(errors="replace").splitlines()
    except OSError:
        return
    click.echo("\n".join(lines[-WORKER_LOG_LINES:]), err=True)


@contextmanager
def interrupting(session: Session) -> Iterator[None]:
    """SIGINT and SIGTERM end the job safely; a second one kills its worker."""
    told = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        session.interrupt(ExitCode.INTERRUPTED if number == signal.SIGINT else ExitCode.TERMINATED)
        if not told:
            told = True
            sys.stderr.write("speedtui: ending at the next step boundary; once more to end at once\n")

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines:
    """Writes each event: as it stands in the log for --json, else in words.

    A closed pipe ends the job safely; a full disk ends only the writing, since the log has it all.
    """

    def __init__(self, session: Session, common: Common) -> None:
        self._session = session
        self._write = _raw if common.json else _Words(common).write
        self.pipe_closed = False
        self._mute = False

    def __call__(self, line: bytes, event: e.AnyEvent) -> None:
        if self._mute:
            return
        try:
            self._write(line, event)
        except OSError as error:
            self._mute = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                self.pipe_closed = True
                self._session.interrupt(ExitCode.INTERRUPTED)
            else:
                log = self._session.folder.events
                click.echo(f"speedtui: stdout: {error.strerror}; the job goes on and writes {log}", err=True)


def _raw(line: bytes, event: e.AnyEvent) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


class _Words:
    """Plain progress lines: what happened, and now and then how far it is."""

    def __init__(self, common: Common) -> None:
        self._quiet = common.quiet
        self._started_at = time.time()
        self._total_steps = 0
        self._eta: e.EtaUpdated | None = None
        self._next_line: dict[str, float] = {}

    def write(self, line: bytes, event: e.AnyEvent) -> None:
        text = None if self._quiet else self._text(event)
        if text is not None:
            sys.stdout.write(f"{datetime.fromtimestamp(self._started_at + event.t):%H:%M:%S} {text}\n")
            sys.stdout.flush()

    def _text(self, event: e.AnyEvent) -> str | None:
        match event:
            case e.RunStarted():
                self._started_at = event.started_at
            case e.TrainingStarted():
                self._total_steps = event.total_steps
            case e.EtaUpdated():
                self._eta = event
            case e.ProgressMade():
                return self._progress(event) if self._due(event.what, PROGRESS_LINE_SECONDS) else None
            case e.StepCompleted():
                training = event.trial is None
                return self._step(event) if training and self._due("step", STEP_LINE_SECONDS) else None
        described = describe(event)
        if described is None:
            return None
        level, text = described
        return text if level == "info" else f"{level}: {text}"

    def _due(self, what: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._next_line.get(what, 0.0):
            return False
        self._next_line[what] = now + seconds
        return True

    def _progress(self, event: e.ProgressMade) -> str:
        if not event.total:
            return event.what
        return f"{event.what}: {event.done / event.total:.0%} of {event.total}"

    def _step(self, event: e.StepCompleted) -> str:
        share = f" {event.step / self._total_steps:.0%}" if self._total_steps else ""
        loss = "not finite" if event.nonfinite else "–" if event.loss is None else f"{event.loss:.3f}"
        text = (
            f"step {event.step}/{self._total_steps}{share}  loss {loss}  {format_seconds(event.seconds / event.steps)}"
        )
        if self._eta is not None and self._eta.p50_seconds is not None:
            text += f"  done in about {format_span(self._eta.p50_seconds)}"
            if self._eta.verdict not in (None, "measuring"):
                text += f"  {str(self._eta.verdict).replace('_', ' ').upper()}"
        return text
