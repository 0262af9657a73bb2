"""How a job ended, or that its process did before it."""

from __future__ import annotations

import msgspec

from speedtui.engine.errors import ExitCode
from speedtui.engine.events import Outcome


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended."""

    outcome: Outcome = "ok"
    exit_code: ExitCode = ExitCode.DONE
    """What the process that wanted the job ends with."""
    reason: str = ""
    """Why, in words; empty where it did what it was to do."""
    next: str = ""
    """What a person may do now; empty where that is nothing."""
    final: bool = False
    """Another worker with the same settings would fail in the same way: none is started."""


class WorkerSpent(Exception):
    """This process cannot be trusted with more work, for instance after an illegal memory access."""


class TrainingBroken(WorkerSpent):
    """The training failed, and the session that started this worker may start another one for it."""
