"""In which order an epoch reads its rows: the one order that a training takes and a prediction counts over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MEGABATCH = 50
"""Micro-batches' worth of shuffled rows that are sorted together, as transformers' LengthGroupedSampler has it: with
more, the same rows meet in every epoch; with fewer, lengths differ more within a micro-batch."""


def epoch_order(
    rows: int, lengths: NDArray[np.int32] | None, *, seed: int, epoch: int, group: int | None
) -> NDArray[np.int64]:
    """Every row once, (rows,), int64: the same for the same seed and epoch.

    group: None shuffles. A micro-batch size groups by `lengths` (rows,), tokens: the rows are shuffled and dealt
    into megabatches, each is sorted and cut into micro-batches, and the micro-batches of the whole epoch are then
    shuffled. A micro-batch so holds rows of about one length and is hardly padded, while no length comes before
    another: the micro-batches of one optimizer step are as mixed as the dataset is. It is the micro-batch that is
    homogeneous, not the effective batch, since padding is paid for by the micro-batch, and an effective batch of one
    length would make the gradient depend on it. The few rows left over for a last, smaller micro-batch are drawn at
    random and not from one end of the lengths, so that none of them is always last.

    The longest row is in the first micro-batch of the first epoch: what does not fit in memory is known at once.

    Raises:
        ValueError: grouping without lengths, or a group below 1.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(rows).astype(np.int64, copy=False)
    if group is None:
        return order
    if lengths is None or group < 1:
        raise ValueError(f"rows cannot be grouped by length: group {group}, lengths {'un' * (lengths is None)}known")
    full = rows - rows % group
    if not full:
        return order
    longest = int(np.argmax(lengths)) if epoch == 0 else None
    if longest is not None:
        _into_head(order, longest, full)
    batches = generator.permutation(_sorted_batches(order[:full], lengths, group))
    if longest is not None:
        first = int(np.flatnonzero((batches == longest).any(axis=1))[0])
        batches[[0, first]] = batches[[first, 0]]
    return np.concatenate([batches.ravel(), order[full:]])


def _sorted_batches(order: NDArray[np.int64], lengths: NDArray[np.int32], group: int) -> NDArray[np.int64]:
    """The rows of each megabatch sorted by length, longest first, as micro-batches: (batches, group)."""
    megabatch = np.arange(len(order)) // (group * MEGABATCH)
    return order[np.lexsort((-lengths[order].astype(np.int64), megabatch))].reshape(-1, group)


def _into_head(order: NDArray[np.int64], row: int, full: int) -> None:
    """Exchanges `row` with the first where it is among those left over."""
    where = int(np.flatnonzero(order == row)[0])
    if where >= full:
        order[[0, where]] = order[[where, 0]]
