"""Rows of text as tokens with labels, made once and kept."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

import numpy as np

from speedtui.engine.workload.base import Progress, Report
from speedtui.engine.workload.cache import cache_folder, file_identity, key_of, prune, replacing, touch
from speedtui.engine.workload.conversation import render
from speedtui.engine.workload.data import Content, Table, check_table, nothing_to_learn
from speedtui.engine.workload.messages import Conversation
from speedtui.engine.workload.token_store import TokenCounts, TokenDataset, Tokens, TokenWriter, open_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

VERSION = 2
"""Counts changes in what is made of a row; older files in the cache are then not used."""

BATCH_ROWS = 512
"""Rows tokenized at a time: enough to keep the tokenizer's threads busy, and a report every fraction of a second."""

Segment = tuple[str, bool]
"""A piece of a row and whether it is learned."""


def tokenize(table: Table, tokenizer: PreTrainedTokenizerBase, max_length: int, report: Report) -> TokenDataset:
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

    table: Table
    max_length: int
    cut_rows: int
    way: list[Any]
    """Plain values that tell this way of encoding from others; part of what names a file in the cache."""

    def reset(self) -> None:
        """Counts from zero."""

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[Tokens | None]:
        """A sample for each row, None where it has nothing to learn from."""


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
        with replacing(path) as fresh, fresh.open("wb") as file:
            _write_all(encoder, file, rows, report)
        prune(path.parent)
        kept = open_tokens(path)
    except OSError:
        kept = None
    return kept if kept is not None else _in_memory(encoder, rows, report)


def _in_memory(encoder: SampleEncoder, rows: int, report: Report) -> TokenDataset:
    buffer = io.BytesIO()
    lengths, numbers, counts = _write_all(encoder, buffer, rows, report)
    flat = np.frombuffer(buffer.getbuffer(), dtype=np.int32, count=counts.tokens)
    return TokenDataset(flat, lengths, numbers, counts)


def _write_all(
    encoder: SampleEncoder, file: BinaryIO, rows: int, report: Report
) -> tuple[NDArray[np.int32], NDArray[np.int32], TokenCounts]:  # fmt: skip
    encoder.reset()
    progress = Progress(report, f"tokenizing {encoder.table.path.name}", rows)
    writer = TokenWriter(file)
    contents = encoder.table.contents()
    while batch := list(islice(contents, BATCH_ROWS)):
        writer.append(encoder.encode(batch))
        progress.at(writer.rows)
    progress.finish(writer.rows)
    if writer.dropped_rows == writer.rows:
        why = f" within max_length {encoder.max_length}: the prompts alone fill it"
        raise nothing_to_learn(encoder.table, writer.rows, why)
    return writer.finish(cut_rows=encoder.cut_rows)


def _cache_key(encoder: SampleEncoder, tokenizer: PreTrainedTokenizerBase) -> str:
    table = encoder.table
    return key_of([*encoder.way, file_identity(table.path), table.way, encoder.max_length, identity(tokenizer)])


def identity(tokenizer: PreTrainedTokenizerBase) -> str:
    """Hash of all that decides which tokens a text becomes."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        whole = json.loads(backend.to_str())
        whole.pop("truncation", None)  # set by whoever called the tokenizer last
        whole.pop("padding", None)
    else:
        whole = [type(tokenizer).__name__, sorted(tokenizer.get_vocab().items())]
    rest = [whole, tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


class Encoder:
    """Turns contents into tokens and counts what it cut."""

    def __init__(self, table: Table, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.table, self.max_length = table, max_length
        self.way: list[Any] = [VERSION]
        self._tokenizer = tokenizer
        plain = table.form != "messages"  # a chat template writes its own first and last tokens
        self._prefix = [~i for i in _opening(tokenizer)] if plain else []
        self._eos: int | None = tokenizer.eos_token_id if plain else None
        self.reset()

    def reset(self) -> None:
        """Counts from zero."""
        self.cut_rows = 0

    def encode(self, batch: Sequence[tuple[str, Content | None]]) -> Iterator[Tokens | None]:
        """A sample for each row, None where it has nothing to learn from.

        Raises:
            DataError: the chat template refuses a conversation.
        """
        rows = [self._segments(place, content) for place, content in batch]
        texts = [text for row in rows for text, _ in row or ()]
        encoded = iter(_encode_texts(self._tokenizer, texts) if texts else ())
        for row in rows:
            yield self._joined([(next(encoded), learned) for _, learned in row]) if row is not None else None

    def _segments(self, place: str, content: Content | None) -> list[Segment] | None:
        if isinstance(content, Conversation):
            return render(self._tokenizer, content, f"{self.table.path} {place}") if content.learned else None
        if content is None:
            return None
        *prompts, learned = content
        return [*((f"{prompt}\n", False) for prompt in prompts), (learned, True)]

    def _joined(self, pieces: Sequence[tuple[Sequence[int], bool]]) -> Tokens | None:
        """One sample, cut to length; None where no token is left to predict (the first never is)."""
        ids = list(self._prefix)
        for piece, learned in pieces:
            ids.extend(piece if learned else [~i for i in piece])
        if self._eos is not None and (not ids or ids[-1] != self._eos):
            ids.append(self._eos)
        tokens = np.array(ids[: self.max_length], dtype=np.int32)
        if not (tokens[1:] >= 0).any():
            return None
        self.cut_rows += len(ids) > self.max_length
        return tokens


def _encode_texts(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[list[int]]:
    encoded = tokenizer(
        texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False, verbose=False
    )
    ids: list[list[int]] = encoded["input_ids"]
    return ids


def _opening(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The beginning-of-sequence token, where the tokenizer itself puts one before a text."""
    ids = tokenizer("a", verbose=False)["input_ids"]
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and len(ids) > 1 and ids[0] == bos else []
