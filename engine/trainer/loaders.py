"""Loader processes that leave it to the training to end."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

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


class _PassOver:
    """In the loader process, after torch has set handlers of its own; a class, so that it can be pickled."""

    def __init__(self, then: Callable[[int], None] | None) -> None:
        self._then = then

    def __call__(self, worker: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        if self._then is not None:
            self._then(worker)
