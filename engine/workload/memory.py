"""Tells running out of memory from other failures."""

from __future__ import annotations

_SIGNS = (
    # torch's allocators for CUDA, HIP, XPU and MPS; "CUDA error: out of memory"; Triton's and the driver's own
    "out of memory",
    "cuda_error_out_of_memory",
    "cudaerrormemoryallocation",
    # a handle or a work space of a library found no room: it takes memory past torch's allocator
    "cublas_status_alloc_failed",
    "cublas_status_not_initialized",
    "cusolver_status_alloc_failed",
    "cusparse_status_alloc_failed",
    "cudnn_status_alloc_failed",
    "cudnn_status_internal_error_host_allocation_failed",
    "cudnn_status_internal_error_device_allocation_failed",
    # the host's allocator; a fork or a thread that found no room
    "defaultcpuallocator: can't allocate memory",
    "cannot allocate memory",
)
"""In lower case. Not among them: Triton's `out of resource`, which is the shared memory of one kernel."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, the host's allocator or Python ran out of memory, or that is what the error was raised from."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, MemoryError):
            return True
        if isinstance(found, OSError | RuntimeError) and any(sign in str(found).lower() for sign in _SIGNS):
            return True
        found = found.__cause__
    return False
