"""A workload as the trainer, the probes and the predictors see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn
    from transformers import PreTrainedTokenizerBase

    from speedtui.engine.workload.probe_batch import StressDataset

Report = Callable[[str, int, "int | None"], None]
"""Told how far something is: what, done, total (None where the total is not known)."""

Batch = Mapping[str, Any]
"""A collated micro-batch: tensors by the name of the model's argument."""

Collator = Callable[[list[Any]], "dict[str, Any]"]

Padding = Literal["longest", "recipe"]
"""`longest`: right, to the longest sample of the micro-batch. `recipe`: only the recipe's collator knows."""

REPORT_SECONDS = 0.1
"""Ten reports a second are as many as a screen can show."""


class MapDataset(Protocol):
    """What the Trainer needs of a dataset: its length and a sample by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class Progress:
    """Passes progress on, no more than ten times a second."""

    def __init__(self, report: Report, what: str, total: int | None) -> None:
        self._report, self._what, self._total = report, what, total
        self._due = time.monotonic() + REPORT_SECONDS
        self._reported = False

    def at(self, done: int) -> None:
        """So much is done by now."""
        now = time.monotonic()
        if now >= self._due:
            self._due = now + REPORT_SECONDS
            self._reported = True
            self._report(self._what, done, self._total)

    def finish(self, done: int) -> None:
        """All is done; said only where progress was reported before."""
        if self._reported:
            self._report(self._what, done, done)


def silent(what: str, done: int, total: int | None) -> None:
    """A report that nobody reads."""


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What the data holds. Lengths are in tokens; None where a recipe alone could know."""

    train_rows: int
    """Samples that are trained on, after dropping."""
    eval_rows: int | None = None
    longest_tokens: int | None = None
    """After cutting."""
    mean_tokens: float | None = None
    total_tokens: int | None = None
    """Of the training samples, once through."""
    cut_rows: int = 0
    """Training samples longer than `data.max_length`, cut at their end."""
    dropped_rows: int = 0
    """Training rows that had nothing to learn from, or nothing left after the cut."""


@dataclass(kw_only=True)
class Recipe:
    """What the build function of a kind "python" recipe returns; a dict with these keys does as well.

    `model(**collator(samples))` must give a dict with "loss", an object with `.loss`, or a tuple with the loss first.
    """

    model: nn.Module
    train_dataset: MapDataset
    eval_dataset: MapDataset | None = None
    collator: Collator | None = None
    """From a list of samples to the model's arguments; default: samples are dicts whose values are stacked."""
    tokenizer: PreTrainedTokenizerBase | None = None
    """Saved beside the model's weights."""


@dataclass(kw_only=True)
class Workload:
    """Model, data and loss, ready to train. The loss is the model's own, from `labels`."""

    name: str
    """The model's name for people."""
    model: nn.Module
    """The base model, without an adapter, on the device asked for."""
    tokenizer: PreTrainedTokenizerBase | None
    train_dataset: MapDataset
    eval_dataset: MapDataset | None
    collator: Collator
    lengths: NDArray[np.int32] | None
    """Tokens of each training sample after cutting, (train_rows,), int32; None for a recipe."""
    facts: DataFacts
    padding: Padding
    _longest: int | None = field(default=None, init=False, repr=False)

    def longest_index(self, report: Report = silent) -> int:
        """Index of the longest training sample; a recipe's samples are read for it, within a time limit."""
        if self._longest is None:
            from speedtui.engine.workload.probe_batch import longest_index

            self._longest = longest_index(self.train_dataset, self.lengths, report)
        return self._longest

    def stress_dataset(self, micro_batch_size: int, count: int, report: Report = silent) -> StressDataset:
        """`count` micro-batches of the longest sample, to be read in order, with one pad token in each.

        The last row of a micro-batch is one token shorter, so that attention takes its masked path. Not so where
        there is no padding in training either: at `micro_batch_size` 1, and where the collator cannot pad.
        """
        from speedtui.engine.workload.probe_batch import StressDataset

        sample = self.train_dataset[self.longest_index(report)]
        return StressDataset(sample, self.collator, micro_batch_size, count)


def count_tokens(batch: Batch) -> tuple[int, int] | None:
    """(tokens, padding_tokens) of a collated batch on the CPU; None where it has neither mask nor ids.

    `attention_mask`: (micro_batch, sequence), int64, 0 at padding. Without it every element of `input_ids` counts.
    """
    mask: torch.Tensor | None = batch.get("attention_mask")
    if mask is not None:
        tokens = int(mask.sum())
        return tokens, mask.numel() - tokens
    ids: torch.Tensor | None = batch.get("input_ids")
    return None if ids is None else (ids.numel(), 0)
