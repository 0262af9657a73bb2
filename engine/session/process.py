"""A job in a worker process of its own, which outlives the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.commands import Finish
from speedtui.engine.context.order import COMMAND_LINE, read_order, write_order
from speedtui.engine.errors import ExitCode, JobError, RunFolderError
from speedtui.engine.files import appending
from speedtui.engine.jobs.result import BROKEN, RESTARTABLE, SPENT, worker_environment
from speedtui.engine.jobs.resume_hint import how_to_go_on
from speedtui.engine.locks import hold_lock
from speedtui.engine.report.document import write_run_report
from speedtui.engine.runs import RunFolder, holding
from speedtui.engine.session.alert_sender import AlertSender, start_alerts
from speedtui.engine.session.base import FOLLOW_SECONDS, OnLine
from speedtui.engine.session.follower import WatchedRun
from speedtui.engine.session.restarts import Restarts
from speedtui.engine.session.stall import StallBudgets
from speedtui.engine.session.worker_process import ON_REQUEST, end_of_killed, is_kill, kill, killed_trial
from speedtui.engine.state import RunStatus

FRUITLESS_RESTARTS = 2
"""Of a study or a plan, in a row and without a finished trial; then the worker would only die again."""
ASKED = {-signal.SIGINT: ExitCode.INTERRUPTED, -signal.SIGTERM: ExitCode.TERMINATED}
"""Ends of a worker that somebody wanted, and what the run then ends with."""
APART: dict[str, Any] = {"stdin": subprocess.DEVNULL, "start_new_session": True}
"""How a worker is started: it outlives the terminal, and nobody types to it."""
EXPECTED = {-signal.SIGKILL, *ASKED}
"""Ends of which worker.log knows nothing."""


class ProcessSession(WatchedRun):
    """Starts the worker, follows its log, commands it, and starts it again when it dies: in a study, or as often as
    it was told to in a training."""

    def __init__(self, folder: RunFolder, *, restarts: int = 0, budgets: StallBudgets | None = None) -> None:
        """The folder holds the order and the configuration already.

        `restarts`: of a training, in a row and without getting further; `budgets`: how long nothing may happen before
        it is called a stall.
        """
        super().__init__(folder, budgets)
        self._worker: subprocess.Popen[bytes] | None = None
        self._alerts: AlertSender | None = None
        self._detached = threading.Event()
        self._interrupted: ExitCode | None = None
        self._told_worker = False
        self._kill = threading.Event()
        self._killed = False
        """Whether somebody has asked for the present worker's death, here or in another session."""
        self._fruitless = 0
        self._finished_trial = False
        """By the present worker."""
        self._restarts = Restarts(restarts)
        self._end: e.RunFinished | None = None
        """As the present worker told it."""
        self._complaint = ""
        """Its last notice of an error."""
        self._changes_told = False
        """The settings that a resumed training was to take up are in its log: those count from then on."""

    def detach(self) -> None:
        """Lets `run` return; the worker goes on, unless it only waits for more trials."""
        if self.snapshot().status is RunStatus.IDLE:
            self.send(Finish())
        self._detached.set()

    def interrupt(self, exit_code: ExitCode) -> None:
        """Ends the worker at its next step boundary; asked again, it is killed."""
        if self._interrupted is not None:
            self._kill.set()
            return
        self._interrupted = exit_code
        self._pass_on_interrupt()

    def settle(self, waiting: Callable[[], None] | None = None) -> str:
        """Waits for the last alert, a little longer than it may take; what went wrong with it, or nothing."""
        return self._alerts.wait(waiting) if self._alerts is not None else ""

    def kill(self) -> None:
        """Kills the worker at once. That of a study is started again, that of anything else is not.

        Raises:
            JobError: none is alive.
        """
        if self._worker is None or self._ended():
            raise JobError(f"no worker of run {self._folder.id} is alive", "There is nothing to kill.")
        kill(self._folder, self._worker.pid, self._t())

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Starts the worker and follows it to the end of the run, or until detached.

        Raises:
            RunFolderError: another session or worker has this run.
        """
        with ExitStack() as stack:
            stack.enter_context(_owning(self._folder))
            stack.enter_context(holding(self._folder.session_lock, shared=True))
            self._take_in(None, time.monotonic())  # an earlier worker's end is not this one's
            self._changes_told = False  # nor what an earlier session had it take up
            self._alerts = start_alerts(self._folder)
            self._start()
            while (code := self._look(on_line)) is None:
                time.sleep(FOLLOW_SECONDS)
            return code

    def _look(self, on_line: OnLine | None) -> ExitCode | None:
        """One look at worker and log; the exit code once there is one."""
        now, ended = time.monotonic(), self._ended()
        self._take_in(on_line, now)
        if self._detached.is_set():
            return ExitCode.DONE
        if ended:
            if self._end is None and self._lost:
                return self._code_of_worker()
            return ExitCode.told(self._end.exit_code) if self._end is not None else self._recover(on_line)
        if self._interrupted is not None and not self._told_worker:
            self._pass_on_interrupt()
        if self._kill.is_set():
            self._kill_worker()
        self._look_at_disk(on_line)
        self._tell_stall(on_line, now)
        self._look_at_alerts()
        return None

    def _look_at_alerts(self) -> None:
        if self._alerts is not None and not self._lost and (wrong := self._alerts.look()):
            with suppress(OSError):
                self._append(e.Notice(t=self._t(), level="warning", text=wrong, hint="The run goes on without them."))

    def _observe(self, event: e.AnyEvent) -> None:
        self._restarts.observe(event)
        self._killed = self._killed or is_kill(event)
        if isinstance(event, e.RunFinished):
            self._end = event
        elif isinstance(event, e.TrialFinished):
            self._finished_trial = True
        elif isinstance(event, e.Notice) and event.level == "error":
            self._complaint = event.text
        elif isinstance(event, e.SettingsChanged) and event.reason == COMMAND_LINE:
            self._changes_told = True

    def _start(self) -> None:
        self._end, self._complaint, self._told_worker, self._killed = None, "", False, False
        self._finished_trial = False
        self._worker = self._new_worker()

    def _new_worker(self) -> subprocess.Popen[bytes]:
        restartable = [RESTARTABLE] if self._restarts.wanted else []
        command = [sys.executable, "-m", "speedtui.engine.jobs.worker", str(self._folder.path), *restartable]
        with appending(self._folder.worker_log) as log:
            return subprocess.Popen(command, **APART, stdout=log, stderr=log, env=worker_environment())

    def _ended(self) -> bool:
        return self._worker is not None and self._worker.poll() is not None

    def _pass_on_interrupt(self) -> None:
        if self._worker is None or self._ended():
            return
        self._told_worker = True
        with suppress(ProcessLookupError):
            os.kill(self._worker.pid, signal.SIGTERM if self._interrupted is ExitCode.TERMINATED else signal.SIGINT)

    # -- a worker that is gone without having ended the run ----------------------------------------

    def _recover(self, on_line: OnLine | None) -> ExitCode | None:
        """Starts another worker where that can help, else ends the run."""
        self._kill_worker()  # what it started may hold its memory still
        assert self._worker is not None
        if self._folder.worker_alive():
            raise RunFolderError(
                f"run {self._folder.id}: another worker is writing this run",
                f"Look at it with `speedtui attach {self._folder.id}`.",
            )
        wanted = self._interrupted or ASKED.get(self._worker.returncode)
        restart = wanted is None and self._worth_restarting()
        self._append_in_place(e.WorkerLost(t=self._t(), reason=self._death(), restarting=restart))
        if restart:
            self._forget_killed_trial()
            self._order_to_go_on()
            self._start()
            return None
        if self._killed and wanted is None:
            wanted = ExitCode.INTERRUPTED
        self._append_in_place(self._last_word(wanted))
        self._take_in(on_line, time.monotonic())
        if self.snapshot().training is not None:
            write_run_report(self._folder)
        return wanted or ExitCode.FAILED

    def _code_of_worker(self) -> ExitCode:
        """Where its last word is in a log that was moved or removed."""
        self._kill_worker()
        code = self._worker.returncode if self._worker is not None else None
        return ExitCode(code) if code in set(ExitCode) else ExitCode.FAILED

    def _worth_restarting(self) -> bool:
        state = self.snapshot()
        spent = self._worker is not None and self._worker.returncode == SPENT
        if (state.job in ("tune", "demo") and state.training is None) or (state.job == "plan" and spent):
            in_trial = state.study is not None and state.study.running is not None
            self._fruitless = 0 if in_trial or self._finished_trial else self._fruitless + 1
            return self._fruitless <= FRUITLESS_RESTARTS
        return state.job == "train" and not self._killed and self._restarts.another()

    def _forget_killed_trial(self) -> None:
        """A person has killed the worker for it."""
        trial = killed_trial(self.snapshot(), self._t()) if self._killed else None
        if trial is not None:
            self._append_in_place(trial)

    def _order_to_go_on(self) -> None:
        """The next worker of a training begins with the last checkpoint; one of a study finds its trials in the log."""
        if self.snapshot().job == "train":
            order = read_order(self._folder)
            changes = {} if self._changes_told else order.changes
            write_order(self._folder, msgspec.structs.replace(order, resume=True, changes=changes))

    def _last_word(self, wanted: ExitCode | None) -> e.RunFinished:
        assert self._worker is not None
        if self._killed:
            return end_of_killed(self._folder, self._t())
        reason = f"the worker was lost: {self._death()}"
        if self._worker.returncode == BROKEN and self._complaint:
            reason = self._complaint
        elif self._worker.returncode not in EXPECTED:
            reason += f", see {self._folder.worker_log}"
        return e.RunFinished(
            t=self._t(), outcome="failed" if wanted is None else "stopped", exit_code=wanted or ExitCode.FAILED,
            reason=reason, next=how_to_go_on(self._folder) or f"The end of {self._folder.worker_log} says more.",
        )  # fmt: skip

    def _death(self) -> str:
        code = self._worker.returncode if self._worker is not None else 0
        if self._killed:
            return ON_REQUEST
        if code == SPENT:
            return "it could not be trusted with another trial"
        if code == BROKEN:
            return "its training failed"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"it ended with exit status {code}"

    def _append_in_place(self, event: e.AnyEvent) -> None:
        """In the dead worker's place, unless another has come; a disk that takes nothing is no reason to break off."""
        with suppress(OSError), hold_lock(self._folder.worker_lock):
            self._append(event)

    def _kill_worker(self) -> None:
        """The worker and all processes of its group."""
        if self._worker is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._worker.pid, signal.SIGKILL)


@contextmanager
def _owning(folder: RunFolder) -> Iterator[None]:
    """Holds the owner's lock; two that start one run at the same moment both look, and only one gets it.

    Raises:
        RunFolderError: another session owns the run.
    """
    held = RunFolderError(
        f"run {folder.id}: another session has started its worker", f"Look at it with `speedtui attach {folder.id}`."
    )
    with holding(folder.owner_lock, held=held):
        yield
