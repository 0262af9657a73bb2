"""Tells running out of memory from other failures."""

from __future__ import annotations


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a device, the host's allocator or Python ran out of memory."""
    from accelerate.utils.memory import should_reduce_batch_size

    if isinstance(error, MemoryError) or (isinstance(error, Exception) and should_reduce_batch_size(error)):
        return True
    # a fork or a thread that found no room, which accelerate does not know
    return isinstance(error, OSError | RuntimeError) and "Cannot allocate memory" in str(error)
