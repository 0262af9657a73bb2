"""The metric's process, as the worker sees it: asked, waited for, and killed when its time is up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from speedtui.engine.errors import ConfigError
from speedtui.engine.evaluate.scorer_messages import (
    AnyScorerReply,
    Began,
    Loaded,
    Scored,
    ScoringRequest,
    SetScored,
    Unread,
    Unusable,
)
from speedtui.engine.evaluate.scorer_process import END
from speedtui.engine.files import users_umask
from speedtui.engine.line_pipes import LinePipes
from speedtui.engine.output import traceback_file
from speedtui.engine.units import format_seconds

SCORER = "speedtui.engine.evaluate.scorer_process"
READY_SECONDS = 120.0
"""For the import of the metric and for reading its rows: a minute is what large libraries take from a slow disk."""
CLOSE_SECONDS = 3.0
"""For what the metric has registered to do at its end, and for ending what it has left."""

Tick = Callable[[int], None]
"""Told how many samples have been dealt with; may raise to end the waiting."""


class ScorerGone(Exception):
    """It died, or its time is up; the text says which."""


class ScoringOutcome(msgspec.Struct, kw_only=True):
    """What came of one request."""

    scores: dict[int, float] = {}
    """By the sample's place."""
    metrics: dict[str, float | None] = {}
    """Of a metric of the whole set; None where it returned no number."""
    failed: dict[int, str] = {}
    """Why there is no score, by the sample's place."""
    problem: str | None = None
    """Why the rest has no score."""
    seconds: float = 0.0
    """From the first call to the last answer; what the metric was loaded and its rows were read in is not in it."""


class Scorer:
    """One metric in a process of its own, from its import to its end."""

    def __init__(self, target: str) -> None:
        """`target`: `file.py:function`. The process is started, and not waited for."""
        self.target = target
        self.loaded: Loaded | None = None
        self._process = subprocess.Popen(
            [sys.executable, "-m", SCORER, target, str(os.getpid())], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=traceback_file(), start_new_session=True, umask=users_umask(),
        )  # fmt: skip
        self._pipes = LinePipes(self._process)

    def load(self, tick: Tick) -> Loaded:
        """Waits until the metric can be called.

        Raises:
            ConfigError: it cannot.
            ScorerGone: the process died of it, or it took too long.
        """
        if self.loaded is None:
            answer = self._next(_Patience(READY_SECONDS, "its import", tick))
            if isinstance(answer, Unusable):
                raise ConfigError(answer.message, answer.hint)
            assert isinstance(answer, Loaded)
            self.loaded = answer
        return self.loaded

    def score(self, request: ScoringRequest, seconds: float, tick: Tick) -> ScoringOutcome:
        """Has the texts scored within `seconds`, which begin with the first call. What `tick` takes does not count.

        A process that did not answer in time, or died, is gone afterwards: see `alive`.
        """
        outcome = ScoringOutcome()
        try:
            self.load(tick)
            began = self._ask(request, tick)
            try:
                self._collect(outcome, len(request.predictions), _Patience(seconds, "schedule.metric_timeout", tick))
            finally:
                outcome.seconds = time.monotonic() - began
        except ScorerGone as gone:
            outcome.problem = str(gone)
            self.kill()
        except ConfigError as error:
            outcome.problem = error.in_one
            self.kill()
        except BaseException:  # of the tick: what is half done would answer the next request
            self.kill()
            raise
        return outcome

    def _ask(self, request: ScoringRequest, tick: Tick) -> float:
        """Until the first call is made; returns when that was, on the monotonic clock."""
        patience = _Patience(READY_SECONDS, "reading its rows", tick)
        try:
            self._pipes.send(request, patience.look)
        except OSError:
            raise ScorerGone(self._last_words()) from None
        answer = self._next(patience)
        if isinstance(answer, Unread):
            raise ScorerGone(answer.reason)
        assert isinstance(answer, Began)
        return answer.at

    def _collect(self, outcome: ScoringOutcome, count: int, patience: _Patience) -> None:
        while patience.done < count:
            answer = self._next(patience)
            if isinstance(answer, SetScored):
                outcome.metrics = answer.metrics
                if answer.error is not None:
                    outcome.failed = dict.fromkeys(range(count), answer.error)
                return
            assert isinstance(answer, Scored)
            if answer.score is not None:
                outcome.scores[answer.sample] = answer.score
            else:
                outcome.failed[answer.sample] = answer.error or ""
            patience.done += 1

    def _next(self, patience: _Patience) -> AnyScorerReply:
        try:
            line = self._pipes.receive(patience.look)
        except EOFError:
            raise ScorerGone(self._last_words()) from None
        return msgspec.json.decode(line, type=AnyScorerReply)  # type: ignore[no-any-return]  # a union is no type to mypy

    # -- the end -----------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.returncode is None and self._exit_code() is None

    def close(self) -> None:
        """Lets it end by itself, and ends it where it does not."""
        if self._process.returncode is None and self._process.stdin is not None:
            self._process.stdin.close()
            self._wait()
        self.kill()

    def kill(self) -> None:
        """Ends it and all that it has started, wherever that has gone."""
        if self._process.returncode is None:
            if self._exit_code() is None:
                os.kill(self._process.pid, END)
                self._wait()
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)  # where the metric keeps the first process from it
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _last_words(self) -> str:
        code = self._wait()
        if code is None:
            return "the metric's process closed its pipes"
        return f"the metric's process ended ({f'exit code {code}' if code <= 128 else _signal_name(code - 128)})"

    def _wait(self) -> int | None:
        """Its exit code, once it has one."""
        until = time.monotonic() + CLOSE_SECONDS
        while (code := self._exit_code()) is None and time.monotonic() < until:
            time.sleep(0.01)
        return code

    def _exit_code(self) -> int | None:
        """None while it runs. It is not reaped, so that its id is not another's when its group is killed."""
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return None if ended is None else ended.si_status


class _Patience:
    """How long something is waited for; what the caller does meanwhile, a pause for instance, does not count."""

    def __init__(self, seconds: float, what: str, tick: Tick) -> None:
        self.done = 0
        self._late = f"the time for {what} was up, {format_seconds(seconds)}"
        self._until = time.monotonic() + seconds
        self._tick = tick

    def look(self) -> None:
        """Gives the caller its chance, and ends the waiting when the time is up."""
        began = time.monotonic()
        self._tick(self.done)
        now = time.monotonic()
        self._until += now - began
        if now > self._until:
            raise ScorerGone(self._late)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
