"""The state of the simulated device: its memory, its clock and what is broken about it."""

from __future__ import annotations

import math
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

GIB = 1 << 30
BLOCK_BYTES = 512
"""To which CUDA's caching allocator rounds sizes up (kMinBlockSize in c10/cuda/CUDACachingAllocator.cpp)."""
SEGMENT_BYTES = 2 << 20
"""What it takes from the driver at once for small blocks (kSmallBuffer, there)."""
WORKSPACE_BYTES = 8_519_680
"""What cuBLAS keeps from the first product on; it counts as allocated (pytorch#95668)."""
PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "linear")
"""Operators that go to cuBLAS."""

ABOUT = """{text}
Search for `{name}' in https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more information.
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.
"""
FAULTS = {
    "cudaErrorIllegalAddress": "an illegal memory access was encountered",
    "cudaErrorMisalignedAddress": "misaligned address",
    "cudaErrorIllegalInstruction": "an illegal instruction was encountered",
    "cudaErrorECCUncorrectable": "uncorrectable ECC error encountered",
    "cudaErrorAssert": "device-side assert triggered",
    "cudaErrorLaunchFailure": "unspecified launch failure",
    "cudaErrorLaunchTimeout": "the launch timed out and was terminated",
    "cudaErrorUnknown": "unknown error",
}
"""Errors after which every call of the context fails, with cudaGetErrorString's words."""

AcceleratorError: type[RuntimeError] = getattr(torch, "AcceleratorError", RuntimeError)
"""torch's class of CUDA errors, from 2.8 on."""


def cuda_error(name: str, text: str = "") -> RuntimeError:
    """As torch raises it, with the advice it gives; `name`: of cudaError_t."""
    return AcceleratorError(ABOUT.format(text=f"CUDA error: {text or FAULTS[name]}", name=name))


class Local(threading.local):
    """Of one thread: where what is made now goes."""

    wanted: bool | None = None
    """On the device, on the host; None where nobody has said."""
    near = False
    """Within a call that was given a tensor of the device: what it makes from nothing is there too."""
    stream = 0


class SimulatedCuda:
    """One device. Tensors are plain CPU tensors whose storages this one holds; its functions change what it does."""

    def __init__(
        self, *, memory_bytes: int = 8 * GIB, capability: tuple[int, int] = (9, 0), name: str = "Simulated GPU",
        external_bytes: int = 0, workspace_bytes: int = WORKSPACE_BYTES,
    ) -> None:  # fmt: skip
        """`external_bytes`: of its memory, what other processes have; `workspace_bytes`: of cuBLAS."""
        self.properties = SimpleNamespace(
            name=name, major=capability[0], minor=capability[1], total_memory=memory_bytes, multi_processor_count=132
        )
        self.external_bytes = external_bytes
        self.workspace_bytes = workspace_bytes
        self.fraction = 1.0
        """Of the memory, what this process may take; see `torch.cuda.set_per_process_memory_fraction`."""
        self.lag_seconds = 0.0
        """How far the device is behind the CPU: events resolve so late, or when it is waited for."""
        self.hung = False
        """Events never resolve, not even when they are waited for."""
        self.fault: RuntimeError | None = None
        """What every call raises; the context is broken for good."""
        self.fragmented_bytes = 0
        """Of what is reserved and free, what no new block fits into until the cache is given back."""
        self.on_operation: Callable[[Any], None] | None = None
        """Sees each operator before it runs on the device; may raise, or `poison`."""
        self.synchronized = 0
        """How often the whole device was waited for."""
        self.local = Local()
        self.generator = torch.Generator()
        self.reserved_bytes = self.retries = self.out_of_memories = 0
        self.peak_allocated_bytes = self.peak_reserved_bytes = 0
        self._allocated_bytes = self._workspace_bytes = 0
        self._sizes: dict[int, int] = {}
        self._lock = threading.RLock()
        self._reached = -math.inf
        self._process = os.getpid()

    # -- faults ------------------------------------------------------------------------------------

    def poison(self, name: str = "cudaErrorIllegalAddress") -> None:
        """From now on every call fails, as after a kernel that went wrong."""
        self.fault = cuda_error(name)

    def check(self) -> None:
        """What every call of the driver begins with.

        Raises:
            RuntimeError: the context is broken, or this is a forked child.
        """
        if os.getpid() != self._process:
            raise RuntimeError(
                "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the "
                "'spawn' start method"
            )
        if self.fault is not None:
            raise type(self.fault)(*self.fault.args)  # a new one: this one would keep the frames it went through

    def adopt(self) -> None:
        """This process, a fork that stands for a new one, has the device."""
        self._process = os.getpid()

    def operation(self, operator: Any) -> None:
        """An operator is to run on the device."""
        self.check()
        if self.on_operation is not None:
            self.on_operation(operator)
            self.check()
        if operator.overloadpacket.__name__ in PRODUCTS and self._workspace_bytes == 0:
            self._grow(self.workspace_bytes)
            self._workspace_bytes = self.workspace_bytes

    # -- clock -------------------------------------------------------------------------------------

    def now(self) -> float:
        """Seconds, as the device will date what is queued now."""
        self.check()
        return time.perf_counter()

    def reached(self, moment: float) -> bool:
        """Whether the device has come to that moment."""
        self.check()
        return not self.hung and moment <= max(self._reached, time.perf_counter() - self.lag_seconds)

    def synchronize(self) -> None:
        """Everything queued so far is done."""
        self.check()
        self.synchronized += 1
        self._reached = time.perf_counter()

    # -- memory ------------------------------------------------------------------------------------

    def set_fraction(self, fraction: float) -> None:
        """The real one asks the driver how much memory there is (CUDACachingAllocator.cpp)."""
        self.check()
        self.fraction = fraction

    @property
    def allocated_bytes(self) -> int:
        """Of live storages and cuBLAS's workspace, each rounded up to blocks."""
        return self._allocated_bytes

    @property
    def limit_bytes(self) -> int:
        """What this process can reserve."""
        total: int = self.properties.total_memory
        return min(int(total * self.fraction), total - self.external_bytes)

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether the tensor is on the device."""
        return storage_key(tensor) in self._sizes

    def holds_key(self, key: int) -> bool:
        """The same of a storage."""
        return key in self._sizes

    def take(self, tensor: torch.Tensor) -> None:
        """The tensor's storage is on the device from now on, as long as it lives.

        Raises:
            torch.OutOfMemoryError: there is no room for it.
        """
        key = storage_key(tensor)
        if key is None:
            return
        storage = tensor.untyped_storage()
        size = _up(storage.nbytes(), BLOCK_BYTES)
        with self._lock:
            known = self._sizes.get(key)
            self._grow(size - (known or 0))
            if known is None:
                weakref.finalize(storage, self._free, key).atexit = False
            self._sizes[key] = size

    def _grow(self, size: int) -> None:
        with self._lock:
            needed = _up(self._allocated_bytes + size, SEGMENT_BYTES)
            if needed > self.limit_bytes:
                raise self._out_of_memory(size)
            if max(self.reserved_bytes, needed + self.fragmented_bytes) > self.limit_bytes:
                self.retries += 1  # the cache has to go
                self.fragmented_bytes, self.reserved_bytes = 0, needed
            self._allocated_bytes += size
            self.reserved_bytes = max(self.reserved_bytes, needed + self.fragmented_bytes)
            self.peak_allocated_bytes = max(self.peak_allocated_bytes, self._allocated_bytes)
            self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)

    def _free(self, key: int) -> None:
        with self._lock:
            self._allocated_bytes -= self._sizes.pop(key, 0)

    def _out_of_memory(self, size: int) -> RuntimeError:
        self.retries += 1
        self.out_of_memories += 1
        self.reserved_bytes = _up(self._allocated_bytes, SEGMENT_BYTES)
        total: int = self.properties.total_memory
        free = total - self.external_bytes - self.reserved_bytes
        allowed = f"{size_text(int(total * self.fraction))} allowed; " if self.fraction < 1 else ""
        return torch.OutOfMemoryError(
            f"CUDA out of memory. Tried to allocate {size_text(size)}. GPU 0 has a total capacity of "
            f"{size_text(total)} of which {size_text(free)} is free. Including non-PyTorch memory, this process has "
            f"{size_text(self.reserved_bytes)} memory in use. {allowed}Of the allocated memory "
            f"{size_text(self._allocated_bytes)} is allocated by PyTorch, and "
            f"{size_text(self.reserved_bytes - self._allocated_bytes)} is reserved by PyTorch but unallocated. If "
            "reserved but unallocated memory is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to "
            "avoid fragmentation."
        )

    def empty_cache(self) -> None:
        """Gives the driver back what no tensor is in."""
        self.check()
        self.fragmented_bytes = 0
        self.reserved_bytes = _up(self._allocated_bytes, SEGMENT_BYTES)

    def clear_workspaces(self) -> None:
        """cuBLAS's memory is freed; the next product takes it again."""
        self.check()
        with self._lock:
            self._allocated_bytes -= self._workspace_bytes
            self._workspace_bytes = 0

    def reset_peaks(self) -> None:
        """They begin at what there is."""
        self.check()
        self.peak_allocated_bytes, self.peak_reserved_bytes = self._allocated_bytes, self.reserved_bytes

    def statistics(self) -> dict[str, Any]:
        """Those of `torch.cuda.memory_stats` that somebody looks at."""
        self.check()
        return {
            "allocated_bytes": {"all": {"current": self._allocated_bytes, "peak": self.peak_allocated_bytes}},
            "reserved_bytes": {"all": {"current": self.reserved_bytes, "peak": self.peak_reserved_bytes}},
            "num_alloc_retries": self.retries,
            "num_ooms": self.out_of_memories,
        }

    def memory_info(self) -> tuple[int, int]:
        """(free bytes, all bytes), as the driver tells."""
        self.check()
        total: int = self.properties.total_memory
        return total - self.external_bytes - self.reserved_bytes, total


def storage_key(tensor: torch.Tensor) -> int | None:
    """What identifies a tensor's memory; None where it has none, as within a vmap."""
    try:
        return tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):
        return None


def size_text(size: int) -> str:
    """As the allocator writes sizes."""
    if size >= GIB:
        return f"{size / GIB:.2f} GiB"
    return f"{size / (1 << 20):.2f} MiB" if size >= 1 << 20 else f"{size / 1024:.2f} KiB"


def _up(size: int, unit: int) -> int:
    return -(-size // unit) * unit
