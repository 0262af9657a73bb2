"""A real limit on what a trial may use of the memory."""

from __future__ import annotations

import ctypes
import resource
from types import TracebackType

import psutil
import torch

from speedtui.engine.meter.memory import release_memory

M_MMAP_THRESHOLD = -3
"""Of mallopt(3): from this size on an allocation gets a mapping of its own."""
MAPPED_BYTES = 64 << 10
"""Smaller allocations are too few to matter beside a limit."""
USUAL_MAPPED_BYTES = 32 << 20
"""Where glibc's own threshold ends up in a process that frees large tensors."""
FIRST_STEP_BYTES = 48 << 20
"""Thread stacks and code that the first step of a process brings in; about 36 MiB were seen."""
MOST_PLUGS = 4096


class CpuLimit:
    """Beyond the limit the allocator itself fails, and the process lives on.

    RLIMIT_DATA counts private writable address space. It is set to what the process has now, less the model's
    weights, plus the limit: so weights, gradients, optimizer and activations together may take the limit, as they
    may take a GPU of that size, and Python and its libraries do not count. What earlier trials freed and the C
    library kept is plugged meanwhile, since using it again would not count. Nothing is timed under the limit.
    """

    def __init__(self, limit_bytes: int, *, resident_bytes: int, first: bool) -> None:
        """`resident_bytes`: of the weights that are in memory already; `first`: no step has been made yet."""
        self._extra = limit_bytes - resident_bytes + (FIRST_STEP_BYTES if first else 0)
        self._before: tuple[int, int] | None = None
        self._plugs = _HeapPlugs()

    def __enter__(self) -> None:
        self._plugs.fill()
        self._before = resource.getrlimit(resource.RLIMIT_DATA)
        soft, hard = max(data_bytes() + self._extra, 0), self._before[1]
        resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            resource.setrlimit(resource.RLIMIT_DATA, self._before)
        self._plugs.empty()


class CudaLimit:
    """Beyond the limit the caching allocator itself fails; afterwards it has what it had before.

    What it keeps in its cache counts as taken, so that is given back first.
    """

    def __init__(self, limit_bytes: int, device: torch.device) -> None:
        """`limit_bytes`: with the weights that are on the device already."""
        self._device = device
        total = torch.cuda.get_device_properties(device).total_memory
        self._fraction = min(1.0, limit_bytes / total)
        self._before = 1.0

    def __enter__(self) -> None:
        release_memory(self._device)
        # from torch 2.9 on it can be asked for; before, nobody else is known to set it
        fraction_of = getattr(torch.cuda, "get_per_process_memory_fraction", lambda device: 1.0)
        self._before = fraction_of(self._device)
        torch.cuda.set_per_process_memory_fraction(self._fraction, self._device)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            torch.cuda.set_per_process_memory_fraction(self._before, self._device)
        except RuntimeError:
            if error is None:
                raise
            # a broken device: what broke it says more


def data_bytes() -> int:
    """Private writable memory of this process, as RLIMIT_DATA counts it (VmData)."""
    return int(psutil.Process().memory_info().data)


class _MallocInfo(ctypes.Structure):
    """struct mallinfo2 of glibc 2.33 and later: ten size_t, see mallinfo(3)."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


class _HeapPlugs:
    """Occupies the free pieces of the C library's heap, so that every tensor needs new memory.

    With another C library than glibc it does nothing: what was freed may then serve a trial beyond its limit.
    """

    def __init__(self) -> None:
        self._held: list[int] = []
        try:
            self._libc = ctypes.CDLL("libc.so.6")
            self._libc.mallinfo2.restype = _MallocInfo
            self._libc.malloc.restype = ctypes.c_void_p
            self._libc.malloc.argtypes = [ctypes.c_size_t]
            self._libc.free.argtypes = [ctypes.c_void_p]
            self._works = True
        except (OSError, AttributeError):
            self._works = False

    def fill(self) -> None:
        """Takes free pieces, the large ones first, until an allocation no longer comes from one."""
        if not self._works:
            return
        self._libc.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        size = 32 << 20
        while size >= MAPPED_BYTES and len(self._held) < MOST_PLUGS:
            if not self._take(size):
                size //= 2

    def _take(self, size: int) -> bool:
        """Occupies a free piece of this size; False where there is none and new memory would be needed."""
        before = self._libc.mallinfo2().fordblks
        pointer = self._libc.malloc(size)
        if pointer is None:
            return False
        if self._libc.mallinfo2().fordblks <= before - size // 2:
            self._held.append(pointer)
            return True
        self._libc.free(pointer)
        return False

    def empty(self) -> None:
        """Gives the pieces back."""
        while self._held:
            self._libc.free(self._held.pop())
        if self._works:
            self._libc.mallopt(M_MMAP_THRESHOLD, USUAL_MAPPED_BYTES)
