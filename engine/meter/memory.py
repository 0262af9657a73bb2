"""Peak memory: the CUDA allocator's own statistics; on the CPU the bytes of live tensor storages."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def reset_peaks() -> int:
    """Starts the peaks of the current CUDA device anew; returns the allocation retries up to now, which only grow."""
    torch.cuda.reset_peak_memory_stats()
    return allocator_peaks()[2]


def allocator_peaks() -> tuple[int, int, int]:
    """(peak allocated bytes, peak reserved bytes, allocation retries) of the current CUDA device, since `reset_peaks`;
    retries of the whole process."""
    stats = torch.cuda.memory_stats()
    return (
        int(stats.get("allocated_bytes.all.peak", 0)),
        int(stats.get("reserved_bytes.all.peak", 0)),
        int(stats.get("num_alloc_retries", 0)),
    )


class LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensor storages that are alive, and their peak, while the mode is on.

    It follows every tensor an operation returns until its storage is freed. It slows each operation
    by some microseconds, so it serves the memory probe and never a timed step.
    """

    def __init__(self, resident: Iterable[torch.Tensor]) -> None:
        """`resident`: tensors that exist already, such as weights; storages shared by ties count once."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._sizes: dict[int, int] = {}
        self.live_bytes = 0
        self.peak_bytes = 0
        for tensor in resident:
            self._follow(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._follow(leaf)
        return result

    def _follow(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        size = storage.nbytes()
        known = self._sizes.get(key)
        if known is None:
            weakref.finalize(storage, self._free, key).atexit = False
        if size != known:
            self._sizes[key] = size
            self.live_bytes += size - (known or 0)
            self.peak_bytes = max(self.peak_bytes, self.live_bytes)

    def _free(self, key: int) -> None:
        self.live_bytes -= self._sizes.pop(key, 0)


@contextmanager
def collected() -> Iterator[None]:
    """Garbage is collected before and not during, so that the same steps keep the same tensors each time."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def release_memory(device: torch.device) -> None:
    """Gives freed memory back: Python's garbage, the CUDA cache, the C library's free arenas."""
    gc.collect()
    if device.type == "cuda":
        # cuBLAS keeps work space that counts as allocated, tens of MiB from the first product on (pytorch#95668)
        torch._C._cuda_clearCublasWorkspaces()
        torch.cuda.empty_cache()
        return
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        pass  # another C library: nothing to give back by hand


class PeakRss:
    """The process's highest resident memory since `reset`, from the kernel's own high-water mark."""

    def reset(self) -> None:
        """Starts a new high-water mark where the kernel allows it."""
        try:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # 5 resets VmHWM, see proc(5)
        except OSError:
            pass  # without the right the mark covers the whole life of the process

    def read(self) -> int | None:
        """Bytes; None where the kernel does not say."""
        try:
            with open("/proc/self/status") as file:
                line = next(line for line in file if line.startswith("VmHWM:"))
        except (OSError, StopIteration):
            return None
        return int(line.split()[1]) * 1024
