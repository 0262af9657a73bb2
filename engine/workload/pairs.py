"""Prompts and responses as the sources and targets of an encoder-decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from speedtui.engine.workload.base import Report
from speedtui.engine.workload.data import Content, DataTable
from speedtui.engine.workload.encode import UNENDED
from speedtui.engine.workload.token_store import TokenDataset, TokenSample
from speedtui.engine.workload.tokenize import made_or_kept

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

VERSION = 2
"""Counts changes in what is made of a row; older files in the cache are then not used."""

Side = Literal["text", "text_target"]
"""The tokenizer's argument: a few tokenizers write targets in another language or with other marks."""


class PairDataset:
    """Samples by index: `input_ids` the source, (source tokens,), and `labels` the target, (target tokens,), int64."""

    def __init__(self, samples: TokenDataset) -> None:
        self.counts = samples.counts
        """Tokens of sources and targets together."""
        self.target_lengths = samples.learned_lengths()
        """Tokens of each target, (rows,), int32."""
        self.lengths = samples.lengths - self.target_lengths
        """Tokens of each source, (rows,), int32."""
        self.numbers, self.turns = samples.numbers, samples.turns
        """Which of the table's rows each sample was made of, counted from 0, and which of its turns, (rows,), int32."""
        self._samples = samples

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = self._samples.tokens(index).astype(np.int64)
        border = int(self.lengths[index])
        return {"input_ids": torch.from_numpy(~tokens[:border]), "labels": torch.from_numpy(tokens[border:])}


def tokenize_pairs(
    table: DataTable, tokenizer: PreTrainedTokenizerBase, max_length: int, report: Report
) -> PairDataset:
    """The table's prompts and responses, from the cache or made now, each with the tokenizer's own marks around it.

    Each ends with the end-of-sequence token and is at most `max_length` tokens long: a longer source keeps its marks
    and loses the end of its text, as in the tokenizer's own truncation; a longer target is cut at its end, without
    the mark, so that it does not teach to stop there. A row without a response is dropped.

    Raises:
        DataError: the data is not what the configuration says, or every row was dropped.
    """
    return PairDataset(made_or_kept(PairEncoder(table, tokenizer, max_length), tokenizer, report))


class PairEncoder:
    """Turns prompts and responses into one sample each, in which the source is what is not learned."""

    def __init__(self, table: DataTable, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.table, self.max_length = table, max_length
        self._tokenizer = tokenizer
        self._source, self._target = marks(tokenizer, "text"), marks(tokenizer, "text_target")
        self.way: list[Any] = ["pairs", VERSION, self._source, self._target]
        self.reset()

    def reset(self) -> None:
        """Counts from zero."""
        self.cut_rows = 0

    @property
    def notes(self) -> list[str]:
        """That the end of an answer is not learned, where the tokenizer has no token for it."""
        return [] if self._target[1] else [UNENDED]

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[list[TokenSample]]:
        """A sample for each row, none where it has no response."""
        rows = [content for _, content in batch if isinstance(content, tuple)]
        sources = iter(_ids(self._tokenizer, "text", [row[0] for row in rows]) if rows else ())
        targets = iter(_ids(self._tokenizer, "text_target", [row[1] for row in rows]) if rows else ())
        for _, content in batch:
            yield [self._joined(next(sources), next(targets))] if isinstance(content, tuple) else []

    def _joined(self, source: list[int], target: list[int]) -> TokenSample:
        opening, closing = self._source
        room = max(self.max_length - len(opening) - len(closing), 0)
        read = [*opening, *source[:room], *closing][: self.max_length]
        opening, closing = self._target
        written = [*opening, *target, *closing]
        self.cut_rows += len(source) > room or len(written) > self.max_length
        return TokenSample(np.array([*(~i for i in read), *written[: self.max_length]], dtype=np.int32), len(read))


def marks(tokenizer: PreTrainedTokenizerBase, side: Side) -> tuple[list[int], list[int]]:
    """(tokens before a text, tokens after it): the tokenizer's own, and the end-of-sequence token in any case."""
    (inner,) = _ids(tokenizer, side, ["a"])
    (whole,) = _ids(tokenizer, side, ["a"], add_special_tokens=True)
    starts = range(len(whole) - len(inner) + 1)
    at = next((i for i in starts if whole[i : i + len(inner)] == inner), None)
    opening, closing = ([], []) if at is None else (whole[:at], whole[at + len(inner) :])
    eos = tokenizer.eos_token_id
    if eos is not None and eos not in closing:
        closing = [*closing, int(eos)]
    return opening, closing


def _ids(
    tokenizer: PreTrainedTokenizerBase, side: Side, texts: list[Any], *, add_special_tokens: bool = False
) -> list[list[int]]:
    encoded = tokenizer(
        **{side: texts}, add_special_tokens=add_special_tokens, return_attention_mask=False,
        return_token_type_ids=False, verbose=False,
    )  # fmt: skip
    ids: list[list[int]] = encoded["input_ids"]
    return ids
