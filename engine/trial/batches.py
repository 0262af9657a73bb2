"""Which micro-batches a throughput probe measures: as long and as padded as the training's own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from speedtui.engine.config.settings import TrainSettings
from speedtui.engine.workload.base import MapDataset, Workload
from speedtui.engine.workload.order import epoch_order

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


class RowSubset:
    """Some rows of a dataset, in the order given."""

    def __init__(self, dataset: MapDataset, rows: Sequence[int]) -> None:
        self._dataset = dataset
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int, /) -> Any:
        return self._dataset[self._rows[index]]


def plan_probe(workload: Workload, train: TrainSettings, strata: int, batches: int) -> ProbePlan:
    """`batches` micro-batches, one from the middle of each of `strata` equal parts of the training's own micro-batches
    by padded length, then from the beginning again with their neighbours.

    Where lengths are unknown, rows are simply drawn. For the sum of a run ten strata were right within 0.8 % by the
    median and 1.2 % root mean square; three steps at each of five lengths within 1.0 and 1.4 % at twice the cost, and
    ten quantiles in van der Corput order, which leave out the longest tenth, within 1.3 and 1.9 % at four fifths of it
    (tests/bench/results/probe_design.json).
    """
    order = _first_epoch(workload, train.micro_batch_size, train.seed, grouped=train.group_by_length)
    if workload.lengths is None:
        chosen = order[np.arange(batches) % len(order)]
        return ProbePlan(
            rows=tuple(int(i) for i in chosen.ravel()),
            mean_tokens=float(train.micro_batch_size),
            padded=(float(train.micro_batch_size),),
        )
    padded = workload.padded_tokens(order)
    ranked = np.argsort(padded, kind="stable")
    places = spread_strata(strata)
    turns = [(places[i % strata], i // strata) for i in range(batches)]
    picks = [ranked[min(int(q * len(ranked)) + turn, len(ranked) - 1)] for q, turn in turns]
    return ProbePlan(
        rows=tuple(int(i) for pick in picks for i in order[pick]),
        mean_tokens=float(workload.tokens(order).mean()),
        padded=tuple(float(value) for value in padded[ranked]),
    )


WARMUP_QUANTILES = (0.5, 0.95)
"""Of a comparison's blocks by their tokens: what it warms up on. A second length is for what is compiled, which is
compiled anew for shapes that vary when it meets a second shape."""
BLOCK_QUANTILES = (0.125, 0.375, 0.625, 0.875)
"""Those that stand for all."""


def plan_blocks(workload: Workload, block: int, seed: int, warmup: int = 1) -> tuple[int, ...]:
    """Rows of a comparison: `warmup` blocks of `block` rows to warm up on, one or two, then four to measure.

    A block is filled by shuffling, so that any micro-batch size that divides it finds its usual padding there.
    """
    order = _first_epoch(workload, block, seed, grouped=False)
    quantiles = (*WARMUP_QUANTILES[:warmup], *BLOCK_QUANTILES)
    if workload.lengths is None:
        chosen = order[np.arange(len(quantiles)) % len(order)]
    else:
        ranked = np.argsort(workload.tokens(order), kind="stable")
        chosen = order[[ranked[int(q * len(ranked))] for q in quantiles]]
    return tuple(int(row) for row in chosen.ravel())


def spread_strata(count: int) -> list[float]:
    """The middles of `count` equal parts of (0, 1): the median, the highest, the lowest, then what is between.

    Wherever a probe stops, what it measured is spread over all lengths and reaches near the longest, which a curve
    must not be extended to. Between the first three the order is van der Corput's in base 2, from above.
    """
    between = (int((1 - _van_der_corput(i)) * count) for i in range(1, 1 << (2 * count).bit_length()))
    return [(place + 0.5) / count for place in dict.fromkeys([count // 2, count - 1, 0, *between])]


def _first_epoch(workload: Workload, size: int, seed: int, *, grouped: bool) -> npt.NDArray[np.int64]:
    """Full groups of `size` rows of the first epoch: (groups, size). Rows repeat where there are too few for one."""
    rows = len(workload.train_dataset)
    group = size if grouped and workload.lengths is not None else None
    order = epoch_order(rows, workload.row_tokens, seed=seed, epoch=0, group=group)
    wanted = min(max(rows // size, 1), POPULATION) * size
    return np.resize(order, wanted).reshape(-1, size)


def _van_der_corput(i: int) -> float:
    return float(sum(bit / 2.0 ** (place + 1) for place, bit in enumerate(_bits(i))))


def _bits(i: int) -> Iterator[int]:
    while i:
        yield i & 1
        i >>= 1
