"""Tells running out of memory, and a device that is broken for this process, from other failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_MEMORY_SIGNS = (
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
        if isinstance(found, OSError | RuntimeError) and any(sign in str(found).lower() for sign in _MEMORY_SIGNS):
            return True
        found = found.__cause__
    return False


_BROKEN_SIGNS = (
    # cudaError_t's after which every call of the context fails, in the words of cudaGetErrorString
    "illegal memory access",
    "misaligned address",
    "illegal instruction",
    "invalid program counter",
    "not supported on global/shared address space",
    "hardware stack error",
    "ecc error",
    "device-side assert triggered",  # not shorter: torch's advice to every error ends in "device-side assertions"
    "unspecified launch failure",
    "launch timed out",
    "cuda error: unknown error",
    "context is destroyed",
    "gpu is lost",
    # what a library says in their place
    "cublas_status_execution_failed",
    "cublas_status_internal_error",
    "cudnn_status_execution_failed",
    "nccl error",
    "ncclunhandledcudaerror",
    "ncclsystemerror",
    "nccl communicator was aborted",
)
"""In lower case."""


def is_broken(error: BaseException) -> bool:
    """Whether the error says that nothing more can run on the device in this process."""
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _BROKEN_SIGNS)


def is_the_devices(error: BaseException) -> bool:
    """Whether it is the device's failure, want of memory or a broken one, and no fault of what was asked of it."""
    return is_out_of_memory(error) or is_broken(error)


def why_broken(device: torch.device) -> str:
    """Why nothing more can run on the device in this process; empty where something can, and always on the CPU.

    Errors of kernels come late, and no list of them is complete: so the device is waited for and asked for a sum.
    """
    if device.type != "cuda":
        return ""
    import torch

    try:
        torch.cuda.synchronize(device)
        (torch.ones(1, device=device) + 1).item()
    except Exception as error:
        return "" if is_out_of_memory(error) else kind_and_first_line(error)
    return ""


def kind_and_first_line(error: BaseException) -> str:
    """Kind and first line of an error: torch goes on with advice for programmers."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
