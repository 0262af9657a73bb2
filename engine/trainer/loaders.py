"""Loaders whose processes leave it to the training to end; batches moved; random numbers that go on as before."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader


def leave_signals_to_the_training(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Has the loader's processes pass over SIGINT and SIGTERM; returns the loader.

    A batch system or a service manager sends these to all of a job's processes. torch lets a loader process die of
    them and raises an error for it in the midst of a step, so that nothing can be saved any more. Passed over, the
    training ends at its step boundary with a checkpoint, and its loader processes with it.
    """
    plain = getattr(loader, "base_dataloader", loader)  # accelerate wraps the one that makes the processes
    if plain.num_workers:
        plain.worker_init_fn = _PassOver(plain.worker_init_fn)
    return loader


def without_device(loader: DataLoader[Any]) -> DataLoader[Any]:
    """Has the loader's batches stay on the CPU, where accelerate would move them; returns the loader."""
    if hasattr(loader, "device"):
        loader.device = None
    return loader


class _PassOver:
    """In the loader process, after torch has set handlers of its own; a class, so that it can be pickled."""

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self._then = then

    def __call__(self, worker: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if self._then is not None:
            self._then(worker)


@contextmanager
def kept_randomness() -> Iterator[None]:
    """The generators of Python, numpy and torch, on the CPU and all CUDA devices, are as before when the block ends.

    Even an evaluation without dropout draws: each iterator of a DataLoader takes a seed from torch's generator.
    """
    python, own_numpy, cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    started = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # asking would start it
    cuda = torch.cuda.get_rng_state_all() if started else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(own_numpy)
        torch.set_rng_state(cpu)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)


def to_device(value: Any, device: torch.device) -> Any:
    """A batch with all tensors in it moved, however they are nested; the CPU does not wait for it."""
    if isinstance(value, torch.Tensor):
        return value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: to_device(item, device) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(to_device(item, device) for item in value)
    return value
