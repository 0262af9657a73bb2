"""The worst micro-batch a training can meet, for the memory probe."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from math import gcd
from typing import TYPE_CHECKING, Any

import torch

from speedtui.engine.workload.base import Collator, MapDataset, Report, ThrottledProgress, Workload, silent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCAN_SECONDS = 30.0
"""Reading a recipe's samples to find the longest ends here: decoding a million images would take hours."""

GOLDEN = 0.618034
"""Steps of this share of the dataset spread any number of visits evenly over it."""


def longest_index(
    dataset: MapDataset, lengths: NDArray[np.int32] | None, report: Report, *, seconds: float = SCAN_SECONDS
) -> int:
    """Index of the longest sample: by `lengths` (rows,), or by reading the samples for at most `seconds`.

    Without lengths the samples are visited in an order that is spread over the dataset, so that a scan that runs out
    of time has seen a fair part of it.
    """
    if lengths is not None:
        return int(lengths.argmax())
    started = time.monotonic()
    progress = ThrottledProgress(report, "finding the longest sample", len(dataset))
    best, longest = -1, 0
    visited = 0
    for visited, index in enumerate(_spread(len(dataset)), start=1):
        size = sample_size(dataset[index])
        if size > best or (size == best and index < longest):
            best, longest = size, index
        progress.at(visited)
        if time.monotonic() - started > seconds:
            break
    progress.finish(visited)
    return longest


def longest_row(workload: Workload, report: Report = silent) -> int:
    """Index of the workload's longest row, looked for once; a recipe's samples are read for it, within a time limit."""
    if workload.longest is None:
        workload.longest = longest_index(workload.train_dataset, workload.row_tokens, report)
    return workload.longest


def _spread(count: int) -> Iterator[int]:
    """Every index below `count`, once."""
    step = max(1, int(count * GOLDEN))
    while gcd(step, count) != 1:
        step += 1
    return (i * step % count for i in range(count))


def sample_size(sample: Any) -> int:
    """Elements in the tensors, arrays and lists of a sample; a proxy for the memory it costs."""
    if isinstance(sample, Mapping):
        return sum(sample_size(value) for value in sample.values())
    if isinstance(sample, torch.Tensor):
        return sample.numel()
    if isinstance(sample, tuple | list):
        nested = sum(sample_size(value) for value in sample if not isinstance(value, int | float))
        return nested or len(sample)
    if isinstance(sample, str | bytes):
        return len(sample)
    return int(getattr(sample, "size", 0)) if hasattr(sample, "shape") else 0


def stress_dataset(
    workload: Workload, micro_batch_size: int, count: int, report: Report = silent, *, bare: int = 0
) -> StressDataset:
    """`count` micro-batches of the longest row, to be read in order, with one pad token in each.

    The last row of a micro-batch is one token shorter, so that attention takes its masked path. Not so where
    there is no padding in training either: at `micro_batch_size` 1, and where the collator cannot pad. Of a
    seq2seq model it is the longest source with the longest target, each one token shorter in the last row. A
    pack gets a border before its last token, so that the mask between samples is made in any case.

    `bare`: the last so many micro-batches have neither padding nor a border, for devices where attention takes a
    kernel of another kind without a mask.
    """
    if workload.lengths is not None and workload.target_lengths is not None:
        sample = longest_pair(workload.train_dataset, workload.lengths, workload.target_lengths)
    else:
        sample = workload.train_dataset[longest_row(workload, report)]
    return StressDataset(
        with_border(sample) if workload.packed else sample, workload.collator, micro_batch_size, count,
        pair=workload.target_lengths is not None, bare=bare,
        whole=without_border(sample) if workload.packed else None,
    )  # fmt: skip


class StressDataset:
    """`count` micro-batches of one sample, in order; see `stress_dataset`."""

    def __init__(
        self, sample: Any, collator: Collator, micro_batch_size: int, count: int, *, pair: bool = False,
        bare: int = 0, whole: Any = None,
    ) -> None:  # fmt: skip
        """`pair`: `labels` are a target of their own and not as long as `input_ids`.

        `bare`: the last so many micro-batches, which have no padding; `whole`: what they are made of, where that is
        something else.
        """
        self._sample = sample
        self._whole = sample if whole is None else whole
        self._padded = micro_batch_size * (count - bare)
        self._micro_batch_size, self._count = micro_batch_size, count
        self._last = sample
        if micro_batch_size > 1:
            shorter = pair_one_token_shorter(sample) if pair else one_token_shorter(sample)
            if shorter is not None and _collates([sample, shorter], collator):
                self._last = shorter

    def __len__(self) -> int:
        return self._micro_batch_size * self._count

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if index >= self._padded:
            return self._whole
        return self._last if (index + 1) % self._micro_batch_size == 0 else self._sample


def longest_pair(
    dataset: MapDataset, lengths: NDArray[np.int32], target_lengths: NDArray[np.int32]
) -> dict[str, torch.Tensor]:
    """The longest source with the longest target, which may be of two rows: no row needs more memory."""
    source, target = dataset[int(lengths.argmax())], dataset[int(target_lengths.argmax())]
    return {"input_ids": source["input_ids"], "labels": target["labels"]}


def with_border(pack: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The pack with its last token as a sample of its own: a pack of one sample would need no mask, and less memory."""
    positions = pack["position_ids"].clone()
    positions[-1] = 0
    return {**pack, "position_ids": positions}


def without_border(pack: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A pack of one sample as long as this one, which is run without a mask."""
    return {**pack, "position_ids": torch.arange(len(pack["position_ids"]))}


def pair_one_token_shorter(sample: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Source and target each without their last token, where they have more than one."""
    return {key: value[:-1] if len(value) > 1 else value for key, value in sample.items()}


def one_token_shorter(sample: Any) -> dict[str, Any] | None:
    """The sample without its last token, in every field as long as `input_ids`; None where it has no two tokens."""
    if not isinstance(sample, Mapping) or "input_ids" not in sample:
        return None
    count = _sequence_length(sample["input_ids"])
    if count is None or count < 2:
        return None
    return {key: value[:-1] if _sequence_length(value) == count else value for key, value in sample.items()}


def _sequence_length(value: Any) -> int | None:
    if isinstance(value, list):
        return len(value)
    shape = getattr(value, "shape", None)
    return int(shape[0]) if shape is not None and len(shape) == 1 else None


def _collates(samples: list[Any], collator: Collator) -> bool:
    """Whether the collator pads; one that stacks samples of one size raises, in whatever way it likes."""
    try:
        collator(samples)
    except Exception:
        return False
    return True
