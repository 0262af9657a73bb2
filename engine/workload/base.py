"""A workload as the trainer, the probes and the predictors see it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import nn
    from transformers import PreTrainedTokenizerBase

Report = Callable[[str, int, "int | None"], None]
"""Told how far something is: what, done, total (None where the total is not known)."""

Batch = Mapping[str, Any]
"""A collated micro-batch: tensors by the name of the model's argument."""

Collator = Callable[[list[Any]], "dict[str, Any]"]

Generate = Callable[..., "list[str]"]
"""(model, samples, and by name `beams` and `max_new_tokens` where it takes them) -> a text for each sample."""

Padding = Literal["longest", "recipe"]
"""`longest`: right, to the longest sample of the micro-batch. `recipe`: only the recipe's collator knows."""

REPORT_SECONDS = 0.1
"""Ten reports a second are as many as a screen can show."""


class CountedBatch(dict[str, Any]):
    """A collated micro-batch that says how many tokens it holds, where its tensors alone do not tell."""

    def __init__(self, tensors: Batch, tokens: int | None = None, padding_tokens: int = 0) -> None:
        super().__init__(tensors)
        self.tokens = tokens
        """Without padding; None where a library rebuilt the mapping without it: then the tensors are counted."""
        self.padding_tokens = padding_tokens


class MapDataset(Protocol):
    """What the Trainer needs of a dataset: its length and a sample by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


class ThrottledProgress:
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
    """What the data holds. Lengths are in tokens and of samples, packed or not; None where only a recipe knows."""

    train_rows: int
    """Rows of the training dataset, after dropping: samples, or packs of them. What steps are counted in."""
    eval_rows: int | None = None
    longest_tokens: int | None = None
    """After cutting; of a seq2seq model the longest source."""
    longest_target_tokens: int | None = None
    """After cutting; None for a model without targets of their own."""
    mean_tokens: float | None = None
    """Of a sample, source and target together."""
    mean_target_tokens: float | None = None
    """Of the target alone; None for a model without targets of their own."""
    total_tokens: int | None = None
    """Of the training samples, once through; source and target together."""
    cut_rows: int = 0
    """Training samples longer than `data.max_length`, cut at their end."""
    dropped_rows: int = 0
    """Training rows that had nothing to learn from, or nothing left after the cut."""
    eval_cut_rows: int = 0
    """The same of the evaluation data: its loss counts them as far as they were kept."""
    eval_dropped_rows: int = 0
    """Of the evaluation data: its loss does not count them, though they are answered where the model has room."""
    notes: Sequence[str] = ()
    """What else to know of what was made of the rows, and of the evaluation rows where it is not the same."""
    held_out_rows: int = 0
    """Rows of the training file that are evaluated on instead, `data.validation_share` of all of them."""
    packed_samples_per_pack: float | None = None
    """Mean; None where samples are not packed."""
    packed_fill: float | None = None
    """Share of packs x `data.max_length` that holds tokens; None where samples are not packed."""

    @property
    def longest_side(self) -> int | None:
        """The longest sample, or source or target: what `data.max_length` cuts, each side for itself."""
        if self.longest_tokens is None:
            return None
        return max(self.longest_tokens, self.longest_target_tokens or 0)

    @property
    def stressed_tokens(self) -> int | None:
        """Of the sample that a memory probe is made of: the longest, or the longest source with the longest target."""
        if self.longest_tokens is None:
            return None
        return self.longest_tokens + (self.longest_target_tokens or 0)

    @property
    def train_samples(self) -> int:
        """Samples that are trained on, however they are packed."""
        return round(self.train_rows * (self.packed_samples_per_pack or 1))


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
    generate: Generate | None = None
    """From the model, in evaluation mode, and samples of `eval_dataset` to what it answers to each; called with
    `beams` and `max_new_tokens` where it takes them. What `schedule.generate` needs."""
    references: Sequence[str] | None = None
    """The right answer to each sample of `eval_dataset`, for a metric that looks at it."""
    rows: Sequence[Mapping[str, Any]] | None = None
    """What else a metric looks at, of each sample of `eval_dataset`: values that JSON can hold, by name."""


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
    """Tokens of each row of the training dataset after cutting, (rows,), int32: of a sample, of a pack, of a seq2seq
    sample's source; None for a recipe."""
    facts: DataFacts
    padding: Padding
    target_lengths: NDArray[np.int32] | None = None
    """Tokens of each row's target, (rows,), int32; None where there is none beside the source."""
    packed: bool = False
    """A row of the training dataset is a pack; evaluation data never is."""
    generate: Generate | None = None
    """A recipe's own way to answer."""
    references: Sequence[str] | None = None
    """A recipe's right answers, one for each row of the evaluation dataset."""
    rows: Sequence[Mapping[str, Any]] | None = None
    """What a recipe tells its metric of each row of the evaluation dataset."""
    asked: MapDataset | None = None
    """The rows that a language model is asked, uncut; None where they are those of the evaluation dataset."""
    longest: int | None = field(default=None, init=False, repr=False)
    """Index of the longest row; None until `longest_row` looked for it."""

    @property
    def questions(self) -> MapDataset | None:
        """What is answered: an answer needs no room for the right one, so that more may be than the loss counts."""
        return self.asked if self.asked is not None else self.eval_dataset

    @property
    def vocabulary(self) -> int | None:
        """Tokens that the tokenizer knows; None without one."""
        return len(self.tokenizer) if self.tokenizer is not None else None

    @property
    def row_tokens(self) -> NDArray[np.int32] | None:
        """Tokens of each row, source and target together, (rows,), int32; None for a recipe."""
        if self.lengths is None or self.target_lengths is None:
            return self.lengths
        return self.lengths + self.target_lengths

    def padded_tokens(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Tokens of each micro-batch with its padding, source and target together, (batches,).

        rows: (batches, micro_batch), int64, indices into the training dataset.

        Raises:
            ValueError: the lengths are not known.
        """
        longest = _added([side[rows].max(axis=1) for side in self._sides()])
        longest *= rows.shape[1]
        return longest

    def tokens(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Tokens of each micro-batch without its padding, source and target together, (batches,).

        rows: (batches, micro_batch), int64, indices into the training dataset.

        Raises:
            ValueError: the lengths are not known.
        """
        return _added([side[rows].sum(axis=1) for side in self._sides()])

    def _sides(self) -> list[NDArray[np.int32]]:
        if self.lengths is None:
            raise ValueError(f"{self.name}: a recipe's samples have no known lengths")
        return [self.lengths] if self.target_lengths is None else [self.lengths, self.target_lengths]


def _added(sides: list[NDArray[np.int32]]) -> NDArray[np.float64]:
    total = sides[0].astype("float64")
    for side in sides[1:]:
        total += side
    return total


def token_counts(batch: Batch) -> tuple[int, int] | torch.Tensor | None:
    """(tokens, padding tokens) of a collated batch, or the mask from which they are yet to be counted.

    A `CountedBatch` says it: a pack has no mask, and of a seq2seq batch source and target are counted.
    `attention_mask`: (micro_batch, sequence), int64, 0 at padding. Without it every element of `input_ids` counts.
    None where the batch has none of them, and for a mask on a GPU, which would have to be waited for.
    """
    if isinstance(batch, CountedBatch) and batch.tokens is not None:
        return batch.tokens, batch.padding_tokens
    mask: torch.Tensor | None = batch.get("attention_mask")
    if mask is not None:
        return mask if mask.device.type == "cpu" else None
    ids: torch.Tensor | None = batch.get("input_ids")
    return None if ids is None else (ids.numel(), 0)
