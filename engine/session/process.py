"""A job in a worker process of its own, which outlives the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import msgspec

from speedtui.engine import events as e
from speedtui.engine.commands import Finish
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs.status import SPENT
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder, hold_lock
from speedtui.engine.session.base import OnLine
from speedtui.engine.session.follower import FollowedRun
from speedtui.engine.state import RunStatus

FOLLOW_SECONDS = 0.1
"""Between two looks at the log; a worker writes it at most 20 times a second."""
FRUITLESS_RESTARTS = 2
"""Restarts in a row without a finished trial; then the worker would only die again."""


class ProcessSession(FollowedRun):
    """Starts the worker, follows its log, commands it, and starts it again when it dies in a study."""

    def __init__(self, folder: RunFolder) -> None:
        """The folder holds the order and the configuration already."""
        super().__init__(folder)
        self._worker: subprocess.Popen[bytes] | None = None
        self._detached = threading.Event()
        self._interrupted: ExitCode | None = None
        self._kill = threading.Event()
        self._fruitless = 0

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
        if self._worker is not None and not self._ended():
            with suppress(ProcessLookupError):
                os.kill(self._worker.pid, signal.SIGTERM if exit_code is ExitCode.TERMINATED else signal.SIGINT)

    def run(self, on_line: OnLine | None = None) -> ExitCode:
        """Starts the worker and follows it to the end of the run, or until detached."""
        with hold_lock(self._folder.session_lock, shared=True):
            self._start()
            while True:
                self._follower.read(on_line)
                if self._detached.is_set():
                    return ExitCode.DONE
                if self._ended():
                    self._follower.read(on_line)
                    state = self._follower.snapshot()
                    if state.exit_code is not None:
                        return ExitCode(state.exit_code)
                    self._recover(on_line)
                if self._kill.is_set():
                    self._kill_worker()
                time.sleep(FOLLOW_SECONDS)

    def _start(self) -> None:
        log = os.open(self._folder.worker_log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._worker = subprocess.Popen(
                [sys.executable, "-m", "speedtui.engine.jobs.worker", str(self._folder.path)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=worker_environment(),
            )
        finally:
            os.close(log)

    def _ended(self) -> bool:
        return self._worker is not None and self._worker.poll() is not None

    def _recover(self, on_line: OnLine | None) -> None:
        """The worker is gone without an end of the run: starts another where that can help, else ends the run."""
        self._kill_worker()  # what it started may hold its memory still
        reason = self._death()
        state = self._follower.snapshot()
        in_trial = state.study is not None and state.study.running is not None
        self._fruitless = 0 if in_trial else self._fruitless + 1
        restart = (
            self._interrupted is None
            and state.job in ("tune", "demo")
            and state.training is None
            and self._fruitless <= FRUITLESS_RESTARTS
        )
        self._append(e.WorkerLost(t=0.0, reason=reason, restarting=restart))
        if restart:
            self._start()
            return
        code = self._interrupted or ExitCode.FAILED
        outcome: e.Outcome = "stopped" if self._interrupted is not None else "failed"
        advice = f"The end of {self._folder.worker_log} says more."
        if state.training is not None and state.training.checkpoints:
            advice = f"Go on from its last checkpoint: speedtui train --resume {self._folder.id}"
        self._append(
            e.RunFinished(t=0.0, outcome=outcome, exit_code=code, reason=f"the worker was lost: {reason}", next=advice)
        )
        self._follower.read(on_line)

    def _death(self) -> str:
        code = self._worker.returncode if self._worker is not None else 0
        if code == SPENT:
            return "it could not be trusted with another trial"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"it ended with exit status {code}"

    def _append(self, event: e.WorkerLost | e.RunFinished) -> None:
        """Writes an event in the dead worker's place, with its lock held."""
        state = self._follower.snapshot()
        with suppress(BlockingIOError), hold_lock(self._folder.worker_lock):
            log = EventLog(self._folder.events, RunClock(state.started_at or time.time(), state.t))
            log.emit(_at(event, log.clock.now()))
            log.close()

    def _kill_worker(self) -> None:
        """The worker and all processes of its group."""
        if self._worker is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._worker.pid, signal.SIGKILL)


def worker_environment() -> dict[str, str]:
    """The environment of a worker: no progress bars, no thread pool that a fork would break."""
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONUNBUFFERED": "1"}
    return {**quiet, **os.environ}


def _at(event: e.WorkerLost | e.RunFinished, t: float) -> e.WorkerLost | e.RunFinished:
    return msgspec.structs.replace(event, t=t)
