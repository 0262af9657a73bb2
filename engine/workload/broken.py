"""Tells a device that is broken for this process from other failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from speedtui.engine.workload.memory import is_out_of_memory

if TYPE_CHECKING:
    import torch

_SIGNS = (
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
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


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
        return "" if is_out_of_memory(error) else first_line(error)
    return ""


def first_line(error: BaseException) -> str:
    """Kind and first line of an error: torch goes on with advice for programmers."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
