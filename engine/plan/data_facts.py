"""Lengths of the samples before any cutting, as the levers ask for them."""

from __future__ import annotations

import numpy as np

from speedtui.engine.profile.levers import Facts
from speedtui.engine.workload.base import Workload


def facts_of(workload: Workload) -> Facts:
    """`workload`: at a maximum length that cuts as little as possible. A recipe tells its rows only.

    Source and target are each cut for themselves, so that the longer one of a row decides whether it is.
    """
    lengths, targets = workload.lengths, workload.target_lengths
    if lengths is None or workload.packed:
        return Facts(rows=workload.facts.train_rows)
    ranked = np.sort(lengths if targets is None else np.maximum(lengths, targets))

    def tokens_at(share: float) -> int:
        return int(np.quantile(ranked, share, method="higher"))

    def rows_cut(tokens: int) -> int:
        return int(len(ranked) - np.searchsorted(ranked, tokens, side="right"))

    return Facts(rows=len(ranked), tokens_at=tokens_at, rows_cut=rows_cut)
