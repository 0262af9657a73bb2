"""Tokenized samples as one flat array, in a file that is mapped and not read."""

from __future__ import annotations

import json
import struct
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from speedtui.engine.workload.collate import IGNORED

Tokens = NDArray[np.int32]
"""A token that is learned is its id; one that is not is ~id, which is negative. (tokens,), int32."""

MAGIC = b"sptok\x00\x00\x02"
"""Ends a complete file; the last byte counts the format's versions."""

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


class TokenDataset:
    """Samples by index: `input_ids` and `labels` (-100 where not learned), each (tokens,), int64."""

    def __init__(
        self, flat: Tokens, lengths: NDArray[np.int32], numbers: NDArray[np.int32], counts: TokenCounts
    ) -> None:
        self.lengths = lengths
        """Tokens of each sample, (rows,), int32."""
        self.numbers = numbers
        """Which of the table's rows each sample was made of, counted from 0, (rows,), int32: some are dropped."""
        self.counts = counts
        self._flat = flat
        self._ends = np.cumsum(lengths, dtype=np.int64)

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

    def prompt_lengths(self) -> NDArray[np.int32]:
        """Tokens of each sample before the first learned one that follows one that is not, (rows,), int32.

        1 where there is none such: a model needs something to go on from.
        """
        counts = np.ones(len(self), dtype=np.int32)
        for first in range(0, len(self), _ROWS_AT_A_TIME):
            rows = slice(first, first + _ROWS_AT_A_TIME)
            starts = self._ends[rows] - self.lengths[rows]
            learned = self._flat[starts[0] : self._ends[rows][-1]] >= 0
            begins = np.zeros(len(learned), dtype=bool)
            begins[1:] = learned[1:] & ~learned[:-1]
            begins[starts - starts[0]] = False  # what comes before it belongs to another sample
            places = np.where(begins, np.arange(len(learned)), len(learned))
            found = np.minimum.reduceat(places, starts - starts[0]) - (starts - starts[0])
            counts[rows] = np.where(found < self.lengths[rows], found, 1)
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
        self._lengths = array("i")
        self._numbers = array("i")
        self.rows = 0
        """Rows of the table so far, the dropped ones too."""

    def append(self, samples: Iterable[Tokens | None]) -> None:
        """Adds the samples of the table's next rows at the end; None is a row that is dropped."""
        for sample in samples:
            if sample is not None:
                self._lengths.append(len(sample))
                self._numbers.append(self.rows)
                self._write(sample.tobytes())
            self.rows += 1

    @property
    def dropped_rows(self) -> int:
        """Of `rows`."""
        return self.rows - len(self._lengths)

    def finish(self, *, cut_rows: int) -> tuple[NDArray[np.int32], NDArray[np.int32], TokenCounts]:
        """Writes lengths, row numbers, counts and checksum; returns lengths and numbers, (rows,) each, and counts."""
        lengths, numbers = np.array(self._lengths, dtype=np.int32), np.array(self._numbers, dtype=np.int32)
        counts = TokenCounts(
            rows=len(lengths), tokens=int(lengths.sum(dtype=np.int64)), cut_rows=cut_rows,
            dropped_rows=self.dropped_rows,
        )  # fmt: skip
        self._write(lengths.tobytes() + numbers.tobytes())
        note = json.dumps({**asdict(counts), "crc32": self._crc}).encode()
        self._file.write(note + _TAIL.pack(len(note), MAGIC))
        return lengths, numbers, counts

    def _write(self, data: bytes) -> None:
        self._crc = zlib.crc32(data, self._crc)
        self._file.write(data)


def open_tokens(path: Path) -> TokenDataset | None:
    """The samples of a file written before; None where it is missing, incomplete or damaged."""
    try:
        counts = _checked_counts(path)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
    whole = np.memmap(path, dtype=np.int32, mode="r", shape=(counts.tokens + 2 * counts.rows,))
    lengths, numbers = np.array(whole[counts.tokens :]).reshape(2, counts.rows)
    return TokenDataset(whole[: counts.tokens], lengths, numbers, counts)


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
        if body != 4 * (counts.tokens + 2 * counts.rows) or crc != _crc_of(file, body):
            raise ValueError("damaged")
    return counts


def _crc_of(file: BinaryIO, size: int) -> int:
    file.seek(0)
    crc = 0
    while size > 0 and (chunk := file.read(min(size, _CHUNK_BYTES))):
        crc = zlib.crc32(chunk, crc)
        size -= len(chunk)
    return crc
