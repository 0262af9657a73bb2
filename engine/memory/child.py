"""The process that predicts: started when it is needed, killed when it is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import msgspec

from speedtui.engine.clean import clean
from speedtui.engine.line_pipes import LinePipes
from speedtui.engine.memory.peak_model import MemoryRequest, Prediction
from speedtui.engine.units import format_seconds

REQUEST_SECONDS = 180.0
"""A hundred layers computed one by one take less than a minute; a recipe may read its data meanwhile."""
WORKER = "speedtui.engine.memory.worker"


class PredictionReply(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker writes for each request."""

    prediction: Prediction
    lasting: bool
    """Whether asking again would give the same: not so where a network or a file was missing."""


class ChildDied(Exception):
    """It ended, or had to be ended, before it answered."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        """Wall time it was given."""


class Child:
    """Answers one request at a time."""

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", WORKER)) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process lives
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""},
        )  # fmt: skip
        self._pipes = LinePipes(self._process)

    def ask(
        self, request: MemoryRequest, tick: Callable[[], None], *, seconds: float = REQUEST_SECONDS
    ) -> PredictionReply:
        """The answer to one request; `tick` is called while it is waited for.

        Raises:
            ChildDied: there is none within `seconds`, or the process died of the request.
        """
        began = time.monotonic()

        def look() -> None:
            tick()
            if time.monotonic() - began > seconds:
                raise ChildDied(f"predicting it took longer than {format_seconds(seconds)}", seconds)

        try:
            self._pipes.send(request, look)
            return msgspec.json.decode(self._pipes.receive(look), type=PredictionReply)
        except (OSError, EOFError):
            raise ChildDied(self._last_words(), time.monotonic() - began) from None

    def _last_words(self) -> str:
        code = self._process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors.read().decode(errors="replace").splitlines() if line.strip()]
        return f"the process that predicts it died ({how})" + (f": {clean(lines[-1], 200)}" if lines else "")

    def close(self) -> None:
        """Kills it with all it may have started."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            try:
                if stream is not None:
                    stream.close()
            except OSError:  # what a dead process left unread
                pass
