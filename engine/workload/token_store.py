"""Tokenized samples as one flat array, in a file that is mapped and not read."""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from speedtui.engine.workload.collate import IGNORED

Tokens = NDArray[np.int32]
"""A token that is learned is its id; one that is not is ~id, which is negative. (tokens,), int32."""

SampleColumns = NDArray[np.int32]
"""Lengths, numbers, prompts and turns of the samples, (4, samples), int32; see `TokenDataset`."""

COLUMNS = 4

MAGIC = b"sptok\x00\x00\x03"
"""Ends a complete file; the last byte counts the format's versions."""


class TokenSample(NamedTuple):
    """What is made of a row, or of a part of it."""

    tokens: Tokens
    prompt: int
    """Tokens before the answer that the model is asked for; at least one, since it needs something to go on from."""
    turn: int = 0
    """Which of a conversation's learned turns that answer is."""


_TAIL = struct.Struct("<I8s")
_CHUNK_BYTES = 16 * 1024**2
"""Read at a time while a checksum is taken."""
_ROWS_AT_A_TIME = 1 << 16
"""Samples whose tokens are counted at a time: tens of megabytes, where all of a large file would be gigabytes."""


@dataclass(frozen=True, kw_only=True)
class TokenCounts:
    """What tokenization met."""

    rows: int
    tokens: int
    cut_rows: int
    dropped_rows: int
    """Rows of the table that gave no sample."""
    notes: Sequence[str] = ()
    """What else a person should know of what was made of the rows."""


class TokenDataset:
    """Samples by index: `input_ids` and `labels` (-100 where not learned), each (tokens,), int64."""

    def __init__(self, flat: Tokens, columns: SampleColumns, counts: TokenCounts) -> None:
        lengths, numbers, prompts, turns = columns
        self.lengths: NDArray[np.int32] = lengths
        """Tokens of each sample, (rows,), int32."""
        self.numbers: NDArray[np.int32] = numbers
        """Which of the table's rows each sample was made of, counted from 0, (rows,), int32: some give none, some
        conversations several."""
        self.prompts: NDArray[np.int32] = prompts
        """Tokens of each sample before the answer that the model is asked for, (rows,), int32."""
        self.turns: NDArray[np.int32] = turns
        """Which of its conversation's learned turns that answer is, counted from 0, (rows,), int32."""
        self.counts = counts
        self._flat = flat
        self._ends = np.cumsum(self.lengths, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.lengths)

    def tokens(self, index: int) -> Tokens:
        """A sample as it is stored."""
        end = self._ends[index]
        return np.asarray(self._flat[end - self.lengths[index] : end])

    def learned_lengths(self) -> NDArray[np.int32]:
        """Learned tokens of each sample, (rows,), int32."""
        counts = np.zeros(len(self), dtype=np.int32)
        for first in range(0, len(self), _ROWS_AT_A_TIME):
            rows = slice(first, first + _ROWS_AT_A_TIME)
            starts = self._ends[rows] - self.lengths[rows]
            learned = self._flat[starts[0] : self._ends[rows][-1]] >= 0
            counts[rows] = np.add.reduceat(learned, starts - starts[0], dtype=np.int32)
        return counts

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = self.tokens(index)
        ids = tokens ^ (tokens >> 31)  # ~ where negative
        labels = np.where(tokens >= 0, tokens, IGNORED)
        return {
            "input_ids": torch.from_numpy(ids.astype(np.int64)),
            "labels": torch.from_numpy(labels.astype(np.int64)),
        }


class TokenWriter:
    """Appends samples to a file; `finish` makes it complete."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._crc = 0
        self._columns = tuple(array("i") for _ in range(COLUMNS))
        self.rows = 0
        """Rows of the table so far, the dropped ones too."""
        self.dropped_rows = 0
        """Of `rows`."""

    def append(self, rows: Iterable[Sequence[TokenSample]]) -> None:
        """Adds the samples of the table's next rows at the end; a row without any is dropped."""
        for samples in rows:
            for sample in samples:
                values = (len(sample.tokens), self.rows, sample.prompt, sample.turn)
                for column, value in zip(self._columns, values, strict=True):
                    column.append(value)
                self._write(sample.tokens.tobytes())
            self.rows += 1
            self.dropped_rows += not samples

    def finish(self, *, cut_rows: int, notes: Sequence[str]) -> tuple[SampleColumns, TokenCounts]:
        """Writes columns, counts and checksum, and returns both."""
        columns = np.array([np.array(column, dtype=np.int32) for column in self._columns])
        counts = TokenCounts(
            rows=columns.shape[1], tokens=int(columns[0].sum(dtype=np.int64)), cut_rows=cut_rows,
            dropped_rows=self.dropped_rows, notes=notes,
        )  # fmt: skip
        self._write(columns.tobytes())
        note = json.dumps({**asdict(counts), "crc32": self._crc}).encode()
        self._file.write(note + _TAIL.pack(len(note), MAGIC))
        return columns, counts

    def _write(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)


def open_tokens(path: Path) -> TokenDataset | None:
    """The samples of a file written before; None where it is missing, incomplete or damaged."""
    try:
        counts = _checked_counts(path)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    whole = np.memmap(path, dtype=np.int32, mode="r", shape=(counts.tokens + COLUMNS * counts.rows,))
    columns = np.array(whole[counts.tokens :]).reshape(COLUMNS, counts.rows)
    return TokenDataset(whole[: counts.tokens], columns, counts)


def _checked_counts(path: Path) -> TokenCounts:
    """Raises ValueError and its like where the file is not as it was written."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(size - _TAIL.size)
        note_size, magic = _TAIL.unpack(file.read(_TAIL.size))
        body = size - _TAIL.size - note_size
        if magic != MAGIC or body < 0:
            raise ValueError("not a complete file of tokens")
        file.seek(body)
        note = json.loads(file.read(note_size))
        crc = note.pop("crc32")
        counts = TokenCounts(**note)
        if body != 4 * (counts.tokens + COLUMNS * counts.rows) or crc != _crc_of(file, body):
            raise ValueError("damaged")
    return counts


def _crc_of(file: BinaryIO, size: int) -> int:
    file.seek(0)
    crc = 0
    while size > 0 and (chunk := file.read(min(size, _CHUNK_BYTES))):
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc
