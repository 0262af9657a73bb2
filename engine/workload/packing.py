"""Which samples share a pack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Packs:
    """Whole samples laid end to end; every sample is in one pack."""

    order: NDArray[np.int64]
    """Indices of the samples, pack after pack, (samples,), int64."""
    ends: NDArray[np.int64]
    """Where each pack ends in `order`, (packs,), int64."""
    lengths: NDArray[np.int32]
    """Tokens of each pack, (packs,), int32."""
    max_length: int

    def __len__(self) -> int:
        return len(self.ends)

    def members(self, pack: int) -> NDArray[np.int64]:
        """The samples of a pack, in their order in it."""
        start = self.ends[pack - 1] if pack else 0
        return self.order[start : self.ends[pack]]

    @property
    def fill(self) -> float:
        """Share of packs x max_length that holds tokens, in [0, 1]."""
        return float(self.lengths.sum(dtype=np.int64)) / (len(self) * self.max_length) if len(self) else 0.0

    @property
    def samples_per_pack(self) -> float:
        """Mean."""
        return len(self.order) / len(self) if len(self) else 0.0


def pack_lengths(lengths: NDArray[np.int32], max_length: int, seed: int) -> Packs:
    """Packs of at most `max_length` tokens for samples of these lengths, (samples,), tokens; pure and deterministic.

    Best-fit decreasing: from the longest sample to the shortest, each goes into the pack that it leaves the least
    room in. Which of several samples of one length that is, `seed` decides. It needs at most 11/9 of the fewest
    possible packs and four more (Johnson 1973, for first-fit and best-fit decreasing alike).

    The packs with room are kept by their room, and the rooms in use as the bits of one integer: the smallest room
    that is enough is then its lowest set bit from the sample's length on, found without a search.

    Raises:
        ValueError: a sample is longer than `max_length`, or empty.
    """
    if len(lengths) and (lengths.max() > max_length or lengths.min() < 1):
        raise ValueError(f"lengths from {lengths.min()} to {lengths.max()} do not pack into {max_length}")
    shuffled = np.random.default_rng(seed).permutation(len(lengths))
    decreasing = shuffled[np.argsort(-lengths[shuffled].astype(np.int64), kind="stable")]
    packs = _best_fit(decreasing.tolist(), lengths[decreasing].tolist(), max_length)
    order = np.fromiter((sample for pack in packs for sample in pack), dtype=np.int64, count=len(lengths))
    ends = np.cumsum([len(pack) for pack in packs], dtype=np.int64)
    totals = np.add.reduceat(lengths[order], ends - np.diff(ends, prepend=0)) if len(ends) else lengths[:0]
    return Packs(order=order, ends=ends, lengths=totals.astype(np.int32), max_length=max_length)


def _best_fit(samples: list[int], sizes: list[int], max_length: int) -> list[list[int]]:
    packs: list[list[int]] = []
    with_room: dict[int, list[int]] = {}  # packs by the tokens that are free in them
    rooms = 0  # bit r is set where with_room[r] is not empty
    for sample, size in zip(samples, sizes, strict=True):
        enough = rooms >> size
        if enough:
            room = size + (enough & -enough).bit_length() - 1
            pack = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
            packs[pack].append(sample)
        else:
            room, pack = max_length, len(packs)
            packs.append([sample])
        if left := room - size:
            with_room.setdefault(left, []).append(pack)
            rooms |= 1 << left
    return packs
