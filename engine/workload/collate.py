"""Samples of several lengths as one rectangle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from speedtui.engine.workload.base import CountedBatch

IGNORED = -100
"""The label that cross entropy leaves out."""
MASK = "attention_mask"

EncodedSample = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class PadRight:
    """Pads on the right to the longest sample of the micro-batch. Can be sent to a loader's worker."""

    pad_id: int

    def __call__(self, samples: Sequence[EncodedSample]) -> dict[str, Any]:
        """`input_ids`, `labels` (-100 at padding) and `attention_mask` (0 there): (micro_batch, sequence), int64.

        A sample has `input_ids` and `labels`: (tokens,), int64.
        """
        ids = [torch.as_tensor(sample["input_ids"]) for sample in samples]
        labels = [torch.as_tensor(sample["labels"]) for sample in samples]
        mask = [torch.ones_like(row) for row in ids]
        return {
            "input_ids": _rectangle(ids, self.pad_id),
            "labels": _rectangle(labels, IGNORED),
            MASK: _rectangle(mask, 0),
        }


@dataclass(frozen=True)
class PadPairs:
    """Pads sources and targets on the right, each to their own longest. Can be sent to a loader's worker."""

    pad_id: int

    def __call__(self, samples: Sequence[EncodedSample]) -> CountedBatch:
        """As `PadRight`, but `labels` are the targets: (micro_batch, longest target), int64, -100 at padding.

        What the decoder reads is left to the model: the labels moved by one, from its own start token on.
        """
        tensors = PadRight(self.pad_id)(samples)
        tokens = sum(len(sample["input_ids"]) + len(sample["labels"]) for sample in samples)
        padded = tensors["input_ids"].numel() + tensors["labels"].numel()
        return CountedBatch(tensors, tokens, padded - tokens)


@dataclass(frozen=True)
class PadPacks:
    """Pads packs on the right to the longest of the micro-batch; other samples as `PadRight` does.

    Can be sent to a loader's worker.
    """

    pad_id: int

    def __call__(self, samples: Sequence[EncodedSample]) -> dict[str, Any]:
        """`input_ids`, `labels` (-100 at padding), `position_ids`: (micro_batch, sequence), int64, and no mask.

        A pack has all three, (tokens,), int64; positions start at 0 with every sample. Padding is one more sample,
        of which nothing is learned. Without a mask and without a cache transformers takes each run of positions for
        a sequence of its own and makes the mask between them (masking_utils.find_packed_sequence_indices); hence
        `use_cache` is part of the batch. Its flash attention finds them in the positions only where the micro-batch
        is one row (modeling_flash_attention_utils._is_packed_sequence), so the borders are also given in the
        arguments it takes for any: `cu_seq_lens_q`, `cu_seq_lens_k`: (sequences + 1,), int32, counted through all
        rows laid end to end; `max_length_q`, `max_length_k`: tokens.
        """
        if "position_ids" not in samples[0]:
            return PadRight(self.pad_id)(samples)
        width = max(len(sample["input_ids"]) for sample in samples)
        positions = torch.stack([_positions(sample["position_ids"], width) for sample in samples])
        borders, longest = _borders(positions)
        tokens = sum(len(sample["input_ids"]) for sample in samples)
        tensors = {
            "input_ids": _rectangle([sample["input_ids"] for sample in samples], self.pad_id),
            "labels": _rectangle([sample["labels"] for sample in samples], IGNORED),
            "position_ids": positions,
            "cu_seq_lens_q": borders,
            "cu_seq_lens_k": borders,
            "max_length_q": longest,
            "max_length_k": longest,
            "use_cache": False,
        }
        return CountedBatch(tensors, tokens, positions.numel() - tokens)


def _rectangle(rows: Sequence[torch.Tensor], fill: int) -> torch.Tensor:
    """(rows, longest), int64, `fill` to the right of each row's end."""
    full = torch.full((len(rows), max(map(len, rows))), fill, dtype=torch.int64)
    for target, row in zip(full, rows, strict=True):
        target[: len(row)] = row
    return full


def _positions(positions: torch.Tensor, width: int) -> torch.Tensor:
    """Of a pack and of the padding after it, (width,), int64."""
    return torch.cat([positions, torch.arange(width - len(positions))])


def _borders(positions: torch.Tensor) -> tuple[torch.Tensor, int]:
    """(where each sequence begins in the flattened rows, and the end, int32; tokens of the longest)."""
    flat = positions.reshape(-1)
    starts = (flat == 0).nonzero().reshape(-1)
    borders = torch.cat([starts, torch.tensor([len(flat)])])
    return borders.to(torch.int32), int(borders.diff().max())
