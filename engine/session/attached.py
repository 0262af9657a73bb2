"""A look at a run whose worker somebody else started."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from speedtui.engine import events as e
from speedtui.engine.commands import AnyCommand
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.locks import hold_lock
from speedtui.engine.runs import UNKNOWN, RunFolder
from speedtui.engine.session.base import FOLLOW_SECONDS, OnLine
from speedtui.engine.session.follower import WatchedRun
from speedtui.engine.session.stall import StallBudgets
from speedtui.engine.session.worker_process import ON_REQUEST, end_of_killed, is_kill, kill, worker_of
from speedtui.engine.state import RunStatus

LOOK_SECONDS = 0.1
"""Of a long log, read at a time; then whoever shows it has its turn, and it can be left."""
BREATH_SECONDS = 0.05
"""Between two such looks."""


class AttachedSession(WatchedRun):
    """Follows and commands a run that is alive; on a finished one, or somebody else's, it only shows."""

    ending = ""

    def __init__(self, folder: RunFolder, *, budgets: StallBudgets | None = None) -> None:
        """`budgets`: how long nothing may happen before it is called a stall."""
        super().__init__(folder, budgets)
        self._only_looks = bool(folder.flaw())
        self._detached = threading.Event()
        self._killed = False
        self._unknown_told = False

    def send(self, command: AnyCommand) -> None:
        """Appends to commands.jsonl.

        Raises:
            RunFolderError: the run is somebody else's, or has ended, so nobody would read it.
        """
        self._folder.require_obeyed()
        if not self._goes_on():
            raise RunFolderError(f"run {self._folder.id} has ended", "Start another one.")
        super().send(command)

    def detach(self) -> None:
        """Lets `run` return; the run goes on."""
        self._detached.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Leaves; the run is not this session's to end."""
        self._detached.set()

    def kill(self) -> None:
        """Kills the worker at once; the session that started it decides whether another one comes.

        Raises:
            JobError: there is none, or it cannot be reached from here.
            RunFolderError: the run is somebody else's.
        """
        self._folder.require_obeyed()
        kill(self._folder, worker_of(self._folder, self.snapshot()), self._t())

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Follows the run from its first line to its end, or until detached; through restarts of its worker, too.

        Raises:
            JobError: its worker is gone without having ended it, and nobody is there to start another.
        """
        with self._watching():
            while not self._detached.is_set():
                now = time.monotonic()
                goes_on = self._goes_on()  # before the look: what it wrote last is then seen
                if not self._take_in(on_line, now, seconds=LOOK_SECONDS):
                    self._detached.wait(BREATH_SECONDS)
                    continue
                if not goes_on:
                    return self._end(on_line)
                self._tell_unknown(on_line)
                self._look_at_disk(on_line)
                if not self._only_looks:
                    self._tell_stall(on_line, now)
                self._detached.wait(FOLLOW_SECONDS)
        return ExitCode.DONE

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """Lets the worker see that somebody looks on, where that can be written."""
        with ExitStack() as stack:
            if not self._only_looks:
                with suppress(OSError):  # a file system that can only be read
                    stack.enter_context(hold_lock(self._folder.session_lock, shared=True))
            yield

    def _observe(self, event: e.AnyEvent) -> None:
        if isinstance(event, e.RunStarted):
            self._killed = False
        self._killed = self._killed or is_kill(event)

    def _goes_on(self) -> bool:
        """Where that cannot be told it is taken to, until its log says that it has ended."""
        held = self._folder.goes_on()
        self._follower.see_worker(unknown=held is None)
        return self.snapshot().exit_code is None if held is None else held

    def _tell_unknown(self, on_line: OnLine | None) -> None:
        """Once: silence is then no sign of anything."""
        if self.snapshot().status is RunStatus.UNKNOWN and not self._unknown_told:
            self._unknown_told = True
            self._follower.tell(e.Notice(t=self.snapshot().t, level="warning", text=UNKNOWN), on_line)

    def _end(self, on_line: OnLine | None) -> ExitCode:
        if self._killed and self.snapshot().exit_code is None and not self._only_looks:
            self._end_killed(on_line)
        self._follower.close()
        code = self.snapshot().exit_code
        if code is None and self._lost:
            where = self._folder.path
            raise JobError(
                f"the run's folder {where} was moved or removed", "Attach to it where it is now, by its path."
            )
        if code is None:
            advice = how_to_go_on(self._folder) or f"The end of {self._folder.worker_log} says more."
            raise JobError(f"the worker of run {self._folder.id} is gone and did not end it", advice)
        return ExitCode.told(code)

    def _end_killed(self, on_line: OnLine | None) -> None:
        """Ends the run in the place of the session that started it, which is gone; one of those that look on does."""
        with suppress(OSError), hold_lock(self._folder.owner_lock), hold_lock(self._folder.worker_lock):
            self._take_in(on_line, time.monotonic())  # another session may have
            if self.snapshot().exit_code is not None:
                return
            self._append(e.WorkerLost(t=self._t(), reason=ON_REQUEST, restarting=False))
            self._append(end_of_killed(self._folder, self._t()))
        self._take_in(on_line, time.monotonic())
        if self.snapshot().training is not None:
            # Imported at the end of a run: a screen that opens need not wait for reports.
            from speedtui.engine.report.document import write_run_report

            write_run_report(self._folder)
