"""Between a worker process and its session: the environment, an argument, the exit statuses beside `ExitCode`."""

from __future__ import annotations

import os
from collections.abc import Mapping

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
