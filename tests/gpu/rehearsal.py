"""What a rehearsal has in the place of a GPU: the simulated one, in this process and in the workers it starts."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch

from tests.gpu.forked import Popen
from tests.simulated_cuda import GIB, SimulatedCuda, simulated_cuda, worker_environment

DEVICE = {"memory_bytes": 8 * GIB, "workspace_bytes": 4096}
"""With a workspace of cuBLAS that is small beside models as tiny as these."""
CYCLES_PER_SECOND = 1e10
"""Of the kernel that spins: so many that a rehearsal does not wait long for it."""


@contextmanager
def simulated() -> Iterator[SimulatedCuda]:
    """Everything meanwhile goes to it."""
    os.environ.update(worker_environment(**DEVICE))
    spinning = mock.patch.object(torch._C, "_cuda_sleep", spin, create=True)
    forking = mock.patch.object(subprocess, "Popen", Popen)
    with simulated_cuda(**DEVICE) as device, spinning, forking:
        yield device


def spin(cycles: int) -> None:
    """Takes as long as the kernel would."""
    until = time.perf_counter() + cycles / CYCLES_PER_SECOND
    while time.perf_counter() < until:
        pass
