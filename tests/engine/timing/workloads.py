"""Workloads of known lengths, whose model is never run."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from speedtui.engine.workload.base import DataFacts, Workload


class Lengths:
    """A dataset of which only the lengths matter."""

    def __init__(self, lengths: Any) -> None:
        self.lengths = np.asarray(lengths, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int, /) -> int:
        return index


def workload_of(lengths: Any, evaluated: Any = None, *, known: bool = True, targets: Any = None) -> Workload:
    """Over samples of these lengths; `known` False: a recipe, which does not tell them."""
    data = Lengths(lengths)
    return Workload(
        name="lengths",
        model=nn.Linear(1, 1),
        tokenizer=None,
        train_dataset=data,
        eval_dataset=None if evaluated is None else Lengths(evaluated),
        collator=lambda samples: {},
        lengths=data.lengths if known else None,
        target_lengths=None if targets is None else np.asarray(targets, dtype=np.int32),
        facts=DataFacts(train_rows=len(data)),
        padding="longest" if known else "recipe",
    )


def skewed(rows: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Log-normal lengths around 70, at most 512."""
    return np.random.default_rng(seed).lognormal(4.25, 0.9, size=rows).clip(4, 512).astype(np.int32)
