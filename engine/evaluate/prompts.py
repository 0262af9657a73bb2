"""What a language model is asked: the samples of the evaluation data up to where the answer begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from speedtui.engine.workload.pairs import PairDataset
from speedtui.engine.workload.token_store import TokenDataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Prompts:
    """The prompts of a kind "causal-lm" or the sources of a kind "seq2seq", by row of the evaluation dataset."""

    def __init__(self, dataset: TokenDataset | PairDataset) -> None:
        self._dataset = dataset
        self.seq2seq = isinstance(dataset, PairDataset)
        self.lengths: NDArray[np.int32] = dataset.lengths if isinstance(dataset, PairDataset) else dataset.prompts
        """Tokens of each, (rows,), int32."""

    def batch(self, rows: Sequence[int], pad: int) -> dict[str, torch.Tensor]:
        """`input_ids` and `attention_mask`, (rows, longest), int64.

        Sources are padded on the right, as in training; prompts on the left, so that each answer follows its prompt.
        """
        prompts = [self._dataset[row]["input_ids"][: int(self.lengths[row])] for row in rows]
        width = max(map(len, prompts))
        ids = torch.full((len(rows), width), pad, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for place, prompt in enumerate(prompts):
            where = slice(0, len(prompt)) if self.seq2seq else slice(width - len(prompt), width)
            ids[place, where], mask[place, where] = prompt, 1
        return {"input_ids": ids, "attention_mask": mask}


def allowed_tokens(positions: int | None, prompt_tokens: int, max_new_tokens: int) -> int:
    """New tokens after a prompt: as many as wished, and no more than there are places; the last one needs none."""
    return max_new_tokens if positions is None else max(min(max_new_tokens, positions - prompt_tokens + 1), 1)
