"""Samples of several lengths as one rectangle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

IGNORED = -100
"""The label that cross entropy leaves out."""


@dataclass(frozen=True)
class PadRight:
    """Pads on the right to the longest sample of the micro-batch. Can be sent to a loader's worker."""

    pad_id: int

    def __call__(self, samples: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """`input_ids`, `labels` (-100 at padding) and `attention_mask` (0 there): (micro_batch, sequence), int64.

        A sample has `input_ids` and `labels`: (tokens,), int64.
        """
        width = max(len(sample["input_ids"]) for sample in samples)
        shape = (len(samples), width)
        ids = torch.full(shape, self.pad_id, dtype=torch.int64)
        labels = torch.full(shape, IGNORED, dtype=torch.int64)
        mask = torch.zeros(shape, dtype=torch.int64)
        for row, sample in enumerate(samples):
            count = len(sample["input_ids"])
            ids[row, :count] = torch.as_tensor(sample["input_ids"])
            labels[row, :count] = torch.as_tensor(sample["labels"])
            mask[row, :count] = 1
        return {"input_ids": ids, "labels": labels, "attention_mask": mask}
