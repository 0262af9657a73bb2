"""Which micro-batches a throughput probe measures: as long and as padded as the training's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from speedtui.engine.workload.base import MapDataset

POPULATION = 2048
"""Micro-batches formed to see how their padded lengths are distributed; enough for any quantile used here."""


class ProbePlan(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of the probe in order, and what they stand for."""

    rows: tuple[int, ...]
    """Dataset indices, micro-batch after micro-batch."""
    mean_tokens: float
    """Non-padding tokens of a mean micro-batch of the training; samples where lengths are unknown."""
    padded: tuple[float, ...]
    """Padded tokens of each micro-batch formed, sorted; what a mean micro-step is computed over."""


class Rows:
    """Some rows of a dataset, in the order given."""

    def __init__(self, dataset: MapDataset, rows: Sequence[int]) -> None:
        self._dataset = dataset
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> Any:
        return self._dataset[self._rows[index]]


def plan_probe(
    lengths: npt.NDArray[np.int32] | None, rows: int, micro_batch_size: int, batches: int, seed: int
) -> ProbePlan:
    """Micro-batches at the quantiles of the padded lengths that shuffling makes.

    lengths: (rows,), tokens; None where they are unknown, then rows are simply drawn. The quantiles come in van
    der Corput order, so that wherever the probe stops, what it measured is spread over all lengths.
    """
    order = _shuffled(rows, micro_batch_size, seed)
    if lengths is None:
        chosen = order[np.arange(batches) % len(order)]
        return ProbePlan(
            rows=tuple(int(i) for i in chosen.ravel()),
            mean_tokens=float(micro_batch_size),
            padded=(float(micro_batch_size),),
        )
    of_batches = lengths[order]
    padded = of_batches.max(axis=1).astype(np.float64) * micro_batch_size
    ranked = np.argsort(padded, kind="stable")
    picks = [ranked[min(int(q * len(ranked)), len(ranked) - 1)] for q in spread_quantiles(batches)]
    return ProbePlan(
        rows=tuple(int(i) for pick in picks for i in order[pick]),
        mean_tokens=float(of_batches.sum(axis=1).mean()),
        padded=tuple(float(value) for value in padded[ranked]),
    )


def spread_quantiles(count: int) -> list[float]:
    """The first `count` points of the van der Corput sequence in base 2, moved off the ends."""
    return [_van_der_corput(i + 1) for i in range(count)]


def mean_seconds(padded: Sequence[float], fixed: float, per_token: float) -> float:
    """The mean of fixed + per_token x padded tokens over the training's micro-batches."""
    return fixed + per_token * float(np.mean(padded))


def _shuffled(rows: int, micro_batch_size: int, seed: int) -> npt.NDArray[np.int64]:
    """Micro-batches of a shuffled epoch: (batches, micro_batch_size). Rows repeat where there are too few."""
    generator = np.random.default_rng(seed)
    wanted = min(max(rows // micro_batch_size, 1), POPULATION) * micro_batch_size
    return np.resize(generator.permutation(rows), wanted).reshape(-1, micro_batch_size)


def _van_der_corput(i: int) -> float:
    return float(sum(bit / 2.0 ** (place + 1) for place, bit in enumerate(_bits(i))))


def _bits(i: int) -> Iterator[int]:
    while i:
        yield i & 1
        i >>= 1
