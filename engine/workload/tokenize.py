"""Rows of text as tokens with labels, made once and kept."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from speedtui.engine.units import format_count
from speedtui.engine.workload.aside import aside
from speedtui.engine.workload.base import Report, ThrottledProgress
from speedtui.engine.workload.cache import cache_folder, key_of, prune, replacing, touch
from speedtui.engine.workload.data import Content, DataTable, check_table, nothing_to_learn
from speedtui.engine.workload.encode import Encoder
from speedtui.engine.workload.messages import Conversation
from speedtui.engine.workload.token_store import (
    SampleColumns,
    TokenCounts,
    TokenDataset,
    TokenSample,
    TokenWriter,
    open_tokens,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_ROWS = 512
"""Rows tokenized at a time: enough to keep the tokenizer's threads busy, and a report every fraction of a second."""

LONG_CHARACTERS = 1_000_000
"""Of a row from which on it is told by itself: tokenizers are asked for all of it at once, and may take a second for a
megabyte of words, or minutes where it has no spaces."""


def tokenize(table: DataTable, tokenizer: PreTrainedTokenizerBase, max_length: int, report: Report) -> TokenDataset:
    """The table's samples, from the cache or made now; without a usable cache they are held in memory.

    - prompt and response: `prompt + newline` is not learned, `response` and the end-of-sequence token are;
    - text: all of it and the end-of-sequence token are learned;
    - messages: rendered by the tokenizer's chat template; the assistant's turns are learned.

    A sample over `max_length` tokens is cut at its end. A row that has nothing to learn from, also after the cut, is
    dropped. Both are counted. A tokenizer that opens every text with a token of its own does so here too.

    Raises:
        DataError: the data is not what the configuration says, or every row was dropped.
    """
    return made_or_kept(Encoder(table, tokenizer, max_length), tokenizer, report)


class SampleEncoder(Protocol):
    """Turns contents into tokens and counts what it cut."""

    table: DataTable
    max_length: int
    cut_rows: int
    way: list[Any]
    """Plain values that tell this way of encoding from others; part of what names a file in the cache."""

    @property
    def notes(self) -> Sequence[str]:
        """What else a person should know of what was made of the rows."""

    def reset(self) -> None:
        """Counts from zero."""

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[Sequence[TokenSample]]:
        """The samples of each row, none where it has nothing to learn from."""


def made_or_kept(encoder: SampleEncoder, tokenizer: PreTrainedTokenizerBase, report: Report) -> TokenDataset:
    """The samples of the encoder's table, from the cache or made now.

    Raises:
        DataError: the data is not what the configuration says, or every row was dropped.
    """
    table = encoder.table
    if not table.path.exists():
        check_table(table, report)  # raises
    path = cache_folder("tokens") / f"{_cache_key(encoder, tokenizer)}.tokens"
    kept = open_tokens(path)
    if kept is not None:
        touch(path)
        return kept
    rows = check_table(table, report)
    try:
        with replacing(path) as file:
            _write_all(encoder, file, rows, report)
        prune(path.parent)
        kept = open_tokens(path)
    except OSError:
        kept = None
    return kept if kept is not None else _in_memory(encoder, rows, report)


def _in_memory(encoder: SampleEncoder, rows: int, report: Report) -> TokenDataset:
    buffer = io.BytesIO()
    columns, counts = _write_all(encoder, buffer, rows, report)
    flat = np.frombuffer(buffer.getbuffer(), dtype=np.int32, count=counts.tokens)
    return TokenDataset(flat, columns, counts)


def _write_all(encoder: SampleEncoder, file: BinaryIO, rows: int, report: Report) -> tuple[SampleColumns, TokenCounts]:
    encoder.reset()
    progress = ThrottledProgress(report, f"tokenizing {encoder.table.path.name}", rows)
    writer = TokenWriter(file)
    contents = encoder.table.contents()
    while batch := _next_batch(contents):
        place, characters = max(((place, _characters(content)) for place, content in batch), key=itemgetter(1))
        if characters < LONG_CHARACTERS:
            writer.append(encoder.encode(batch))
        else:
            what = f"tokenizing {encoder.table.path.name}, {place}: {format_count(characters)} characters"
            writer.append(aside(partial(_encoded, encoder, batch), partial(report, what, writer.rows, rows)))
        progress.at(writer.rows)
    progress.finish(writer.rows)
    if writer.dropped_rows == writer.rows:
        told = [f" within max_length {encoder.max_length}: the prompts alone fill it", *encoder.notes]
        raise nothing_to_learn(encoder.table, writer.rows, "; ".join(told))
    return writer.finish(cut_rows=encoder.cut_rows, notes=encoder.notes)


def _encoded(encoder: SampleEncoder, batch: Sequence[tuple[str, Content | None]]) -> list[Sequence[TokenSample]]:
    return list(encoder.encode(batch))


def _next_batch(contents: Iterator[tuple[str, Content | None]]) -> list[tuple[str, Content | None]]:
    """The next rows; a long one is the last of its batch."""
    batch: list[tuple[str, Content | None]] = []
    for place, content in islice(contents, BATCH_ROWS):
        batch.append((place, content))
        if _characters(content) >= LONG_CHARACTERS:
            break
    return batch


def _characters(content: Content | None) -> int:
    if isinstance(content, Conversation):
        return sum(len(message.get("content") or "") for message in content.messages)
    return sum(map(len, content or ()))


def _cache_key(encoder: SampleEncoder, tokenizer: PreTrainedTokenizerBase) -> str:
    return key_of([*encoder.way, encoder.table.identity(), encoder.max_length, identity(tokenizer)])


def identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of all that decides which tokens a text becomes."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        whole = json.loads(backend.to_str())
        whole.pop("truncation", None)  # set by whoever called the tokenizer last
        whole.pop("padding", None)
    else:
        whole = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())]
    rest = [whole, tokenizer.special_tokens_map, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(rest, sort_keys=True, default=str).encode()).hexdigest()
