"""The training's order of rows, as transformers' loader wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torch.utils.data import Sampler

from speedtui.engine.errors import ConfigError
from speedtui.engine.workload.base import MapDataset
from speedtui.engine.workload.evaluation_batch import evaluation_order
from speedtui.engine.workload.order import epoch_order

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class EpochSampler(Sampler[int]):
    """Rows in the order of `epoch_order`; accelerate's loader calls `set_epoch` at the start of every epoch."""

    def __init__(self, rows: int, lengths: NDArray[np.int32] | None, *, seed: int, group: int | None) -> None:
        """`lengths`: (rows,), tokens; `group`: the micro-batch size to group by them, None to shuffle."""
        self._rows, self._lengths, self._seed, self._group = rows, lengths, seed, group
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """0-based; what is iterated from now on is that epoch's order."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(self._rows, self._lengths, seed=self._seed, epoch=self.epoch, group=self._group)
        return iter(order.tolist())


class EvaluationSampler(Sampler[int]):
    """Rows in the order of `evaluation_order`."""

    def __init__(self, dataset: MapDataset) -> None:
        self._order = evaluation_order(dataset)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.tolist())


def row_tokens(dataset: Any) -> NDArray[np.int32]:
    """Tokens of each row of a dataset of this program, source and target together, (rows,), int32.

    Raises:
        ConfigError: the dataset does not tell its lengths.
    """
    lengths = getattr(dataset, "lengths", None)
    if lengths is None:
        raise ConfigError(
            "train.group_by_length needs the lengths of the samples, which this dataset does not tell",
            "Set train.group_by_length = false.",
        )
    targets = getattr(dataset, "target_lengths", None)
    total: NDArray[np.int32] = lengths if targets is None else lengths + targets
    return total
