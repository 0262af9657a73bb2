"""A stand-in for `torch.cuda`: code for a GPU runs here on CPU tensors, and fails as it would there.

`with simulated_cuda() as cuda:` gives the one device. It has what the engine uses: placement, allocator statistics, a
memory limit that really raises, events that resolve late or never, a context that can be poisoned. A tensor that was
left on the host is refused, as on CUDA. It says nothing about speed. What it promises is in `contract`, which
a real device has to keep as well.

Without pytest, for a worker process: `worker_environment`.
"""

from __future__ import annotations

from tests.simulated_cuda.device import FAULTS, GIB, SimulatedCuda, cuda_error
from tests.simulated_cuda.install import present, simulated_cuda
from tests.simulated_cuda.worker.environment import worker_environment

__all__ = ["FAULTS", "GIB", "SimulatedCuda", "cuda_error", "present", "simulated_cuda", "worker_environment"]
