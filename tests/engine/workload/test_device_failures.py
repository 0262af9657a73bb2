"""What a failure on a device means, in all the words and classes that libraries have for it."""

from __future__ import annotations

import pytest
import torch

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.errors import ModelError
from speedtui.engine.trial.failures import describe_failure
from speedtui.engine.workload.failures import is_the_devices, why_broken
from tests.simulated_cuda import FAULTS, SimulatedCuda, cuda_error

NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 GiB"),
    torch.OutOfMemoryError("Allocation on device 0 would exceed allowed memory. (out of memory)"),
    cuda_error("cudaErrorMemoryAllocation", "out of memory"),
    RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("Triton Error [CUDA]: out of memory"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA_ERROR_OUT_OF_MEMORY: cuModuleLoadData"),
    RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
                 "to allocate 4096 bytes. Error code 12 (Cannot allocate memory)"),
    MemoryError(),
    OSError(12, "Cannot allocate memory"),
]  # fmt: skip
BROKEN = [
    *(cuda_error(name) for name in FAULTS),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb, m, n, k)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    RuntimeError("NCCL Error 1: unhandled cuda error (run with NCCL_DEBUG=INFO for details)"),
    RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
]
OTHERS = [
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)"),
    cuda_error("cudaErrorInvalidValue", "invalid argument"),
    RuntimeError("Distributed package doesn't have NCCL built in"),
    RuntimeError("out of resource: shared memory, Required: 262144, Hardware limit: 101376"),
    ValueError("the budget is out of memory"),
    KeyError("loss"),
]


def first_words(error: BaseException) -> str:
    return str(error)[:60]


@pytest.mark.parametrize("error", NO_MEMORY, ids=first_words)
def test_running_out_of_memory_is_told_from_other_failures(error: Exception) -> None:
    failure = describe_failure(error)
    assert (failure.status, failure.poisoned) == (TrialStatus.OUT_OF_MEMORY, False)
    assert "\n" not in failure.reason
    assert is_the_devices(error)


@pytest.mark.parametrize("error", BROKEN, ids=first_words)
def test_a_broken_context_is_told_from_other_failures(error: Exception) -> None:
    failure = describe_failure(error)
    assert (failure.status, failure.poisoned) == (TrialStatus.FAILED, True)
    assert "\n" not in failure.reason
    assert is_the_devices(error)


@pytest.mark.parametrize("error", OTHERS, ids=first_words)
def test_other_failures_are_neither(error: Exception) -> None:
    failure = describe_failure(error)
    assert (failure.status, failure.poisoned) == (TrialStatus.FAILED, False)
    assert not is_the_devices(error)


def test_what_was_raised_from_running_out_of_memory_is_that() -> None:
    error = ModelError("the block could not be built")
    error.__cause__ = NO_MEMORY[0]
    assert describe_failure(error).status is TrialStatus.OUT_OF_MEMORY


def test_a_device_is_asked_whether_it_is_broken_whatever_the_words_were(cuda: SimulatedCuda) -> None:
    device = torch.device("cuda", 0)
    assert why_broken(torch.device("cpu")) == ""
    assert why_broken(device) == ""
    cuda.fault = cuda_error("cudaErrorOfTheFuture", "something nobody has heard of")
    assert why_broken(device) == f"{type(cuda.fault).__name__}: CUDA error: something nobody has heard of"


def test_a_device_without_room_for_a_number_is_not_broken(cuda: SimulatedCuda) -> None:
    cuda.external_bytes = torch.cuda.mem_get_info()[0]
    assert why_broken(torch.device("cuda", 0)) == ""
