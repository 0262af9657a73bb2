"""The data side of a workload: what a configuration and a tokenizer make of the files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import Collator, DataFacts, MapDataset, Report
from speedtui.engine.workload.collate import PadPacks, PadPairs, PadRight
from speedtui.engine.workload.data import DataTable, naming, table_of
from speedtui.engine.workload.held_out import Part
from speedtui.engine.workload.packed import PackedDataset
from speedtui.engine.workload.pairs import PairDataset, tokenize_pairs
from speedtui.engine.workload.token_store import TokenDataset
from speedtui.engine.workload.tokenize import tokenize

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


UNCUT = 2**31 - 1
"""Tokens: a maximum length that no row has."""


class Samples(TypedDict):
    """The fields of a `Workload` that data and its settings decide."""

    train_dataset: MapDataset
    eval_dataset: MapDataset | None
    asked: MapDataset | None
    collator: Collator
    lengths: NDArray[np.int32]
    target_lengths: NDArray[np.int32] | None
    facts: DataFacts
    packed: bool


def make_samples(settings: Settings, tokenizer: PreTrainedTokenizerBase, report: Report) -> Samples:
    """Training and evaluation data of a kind "causal-lm" or "seq2seq", tokenized, and packed where that is set.

    Raises:
        DataError: the data is not what the configuration says.
    """
    trained = _tokenized(settings, training_table(settings), tokenizer, report)
    evaluated = asked = None
    if settings.data.evaluates:
        with naming("data.eval" if settings.data.eval else "data.validation_share"):
            evaluated = _tokenized(settings, evaluation_table(settings), tokenizer, report)
            asked = _asked(settings, evaluated, tokenizer, report)
    samples = _laid_out(settings, trained, evaluated, asked, tokenizer)
    held_out = _part(settings, held_out=True)
    if held_out is not None:
        rows = held_out.rows(Path(settings.data.train or ""))
        samples["facts"] = dataclasses.replace(samples["facts"], held_out_rows=rows)
    return samples


def _laid_out(
    settings: Settings, trained: TokenDataset | PairDataset, evaluated: TokenDataset | PairDataset | None,
    asked: TokenDataset | None, tokenizer: PreTrainedTokenizerBase,
) -> Samples:  # fmt: skip
    pad = 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)
    if isinstance(trained, PairDataset):
        return _samples(trained, trained, evaluated, asked, PadPairs(pad))
    if settings.data.packing:
        packed = PackedDataset(trained, settings.data.max_length, settings.train.seed)
        return _samples(packed, trained, evaluated, asked, PadPacks(pad))
    return _samples(trained, trained, evaluated, asked, PadRight(pad))


def training_table(settings: Settings) -> DataTable:
    """The table that is trained on.

    Raises:
        ConfigError: [data] names no columns.
    """
    return table_of(settings.data.train or "", settings.data, part=_part(settings, held_out=False))


def evaluation_table(settings: Settings) -> DataTable:
    """The table that is evaluated on: a file of its own, or the training rows that are held out.

    Raises:
        ConfigError: [data] names no columns.
    """
    data = settings.data
    part = _part(settings, held_out=True)
    return table_of((data.train if part else data.eval) or "", data, data.eval_rows, part)


def _part(settings: Settings, *, held_out: bool) -> Part | None:
    share = settings.data.validation_share
    return None if share is None else Part(share=share, seed=settings.train.seed, held_out=held_out)


def _tokenized(
    settings: Settings, table: DataTable, tokenizer: PreTrainedTokenizerBase, report: Report
) -> TokenDataset | PairDataset:
    if settings.model.kind == "seq2seq":
        return tokenize_pairs(table, tokenizer, settings.data.max_length, report)
    return tokenize(table, tokenizer, settings.data.max_length, report)


def _asked(
    settings: Settings, evaluated: TokenDataset | PairDataset, tokenizer: PreTrainedTokenizerBase, report: Report
) -> TokenDataset | None:
    """The evaluation data uncut, where a cut has taken something from it and there are prompts in it.

    A source of an encoder-decoder is read as it was trained, cut, and no row is without one.
    """
    whole = isinstance(evaluated, PairDataset) or settings.data.text is not None
    if whole or not (evaluated.counts.cut_rows or evaluated.counts.dropped_rows):
        return None
    return tokenize(evaluation_table(settings), tokenizer, UNCUT, report)


def _samples(
    rows: TokenDataset | PairDataset | PackedDataset, trained: TokenDataset | PairDataset,
    evaluated: TokenDataset | PairDataset | None, asked: TokenDataset | PairDataset | None, collator: Collator,
) -> Samples:  # fmt: skip
    return Samples(
        train_dataset=rows,
        eval_dataset=evaluated,
        asked=asked,
        collator=collator,
        lengths=rows.lengths,
        target_lengths=rows.target_lengths if isinstance(rows, PairDataset) else None,
        facts=_facts(rows, trained, evaluated),
        packed=isinstance(rows, PackedDataset),
    )


def _facts(
    rows: TokenDataset | PairDataset | PackedDataset, trained: TokenDataset | PairDataset,
    evaluated: TokenDataset | PairDataset | None,
) -> DataFacts:  # fmt: skip
    counts = trained.counts
    packs = rows.packs if isinstance(rows, PackedDataset) else None
    return DataFacts(
        train_rows=len(rows),
        eval_rows=None if evaluated is None else evaluated.counts.rows,
        longest_tokens=int(trained.lengths.max()),
        longest_target_tokens=int(trained.target_lengths.max()) if isinstance(trained, PairDataset) else None,
        mean_tokens=counts.tokens / counts.rows,
        mean_target_tokens=float(trained.target_lengths.mean()) if isinstance(trained, PairDataset) else None,
        total_tokens=counts.tokens,
        cut_rows=counts.cut_rows,
        dropped_rows=counts.dropped_rows,
        eval_cut_rows=0 if evaluated is None else evaluated.counts.cut_rows,
        eval_dropped_rows=0 if evaluated is None else evaluated.counts.dropped_rows,
        notes=_notes(counts.notes, evaluated.counts.notes if evaluated is not None else ()),
        packed_samples_per_pack=None if packs is None else packs.samples_per_pack,
        packed_fill=None if packs is None else packs.fill,
    )


def _notes(trained: Sequence[str], evaluated: Sequence[str]) -> list[str]:
    """Those of the training data, and of the evaluation data what is not the same of both."""
    return [*trained, *(f"evaluation data: {note}" for note in evaluated if note not in trained)]
