"""How a job ended, or its process before it; and between that process and its session the environment, an argument and
the exit statuses."""

from __future__ import annotations

import os
from collections.abc import Mapping

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


def failed(reason: str, then: str = "", *, final: bool = False) -> JobResult:
    """It did not do what it was to do; `then`: what a person may do now."""
    return JobResult(outcome="failed", exit_code=ExitCode.FAILED, reason=reason, next=then, final=final)


def late(reason: str, then: str) -> JobResult:
    """It was not done in time, or would not be."""
    return JobResult(outcome="late", exit_code=ExitCode.LATE, reason=reason, next=then)


class WorkerSpent(Exception):
    """This process cannot be trusted with more work, for instance after an illegal memory access."""


class TrainingBroken(WorkerSpent):
    """The training failed, and the session that started this worker may start another one for it."""


ALLOCATOR = "PYTORCH_CUDA_ALLOC_CONF"
"""The name that every supported torch reads: some releases pass over the newer PYTORCH_ALLOC_CONF for CUDA, 2.9.1 among
them (pytorch issue 183387), and all up to 2.13 read this one first (c10/cuda/CUDAAllocatorConfig.h)."""
ALLOCATOR_NAMES = (ALLOCATOR, "PYTORCH_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")
"""Whoever has set one of them has decided on the allocator."""
QUIET = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "PYTHONUNBUFFERED": "1"}
"""No progress bars, and no thread pool that a fork would break."""
GROWING = {ALLOCATOR: "expandable_segments:True"}
"""A GPU's memory in segments that grow: with fixed ones each new length leaves pieces between them that no tensor fits
into, and what a training reserves grows with the lengths it has met."""


def worker_environment(own: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a worker is started with, the same for tuning and training; what is set in `own` already stays.

    `own`: this process's environment by default.
    """
    own = os.environ if own is None else own
    settled = any(own.get(name) for name in ALLOCATOR_NAMES)
    return {**QUIET, **({} if settled else GROWING), **own}


SPENT = 75
"""The job is not over, but another worker has to go on (EX_TEMPFAIL of sysexits.h)."""
BROKEN = 74
"""The training failed; its session starts another worker, if it has restarts left. The log's last notice says why."""
RESTARTABLE = "--restartable"
"""The worker's argument that says so: whoever started it may start it again, so it need not end the run."""
