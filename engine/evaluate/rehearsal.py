"""A small part of an evaluation before the first step: which rows, and what it tells of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.evaluation_batch import row_tokens_of
from speedtui.engine.workload.probe_batch import longest_index

SCAN_SECONDS = 2.0
"""For finding a long sample of a recipe's by reading them."""


def rehearsal_rows(workload: Workload, batch_size: int, batches: int = 2) -> list[int]:
    """Rows of the evaluation dataset, each once: the longest batch, so that memory is found out, then others.

    The others are evenly from the longest to the median, the last one around it, so with two batches there is one
    of each. Of a recipe, whose lengths are not known, the longest sample that is found in a short time and the first
    ones of the dataset.
    """
    dataset = workload.eval_dataset
    if dataset is None or not len(dataset):
        return []
    lengths = row_tokens_of(dataset)
    wanted = min(batch_size * batches, len(dataset))
    if lengths is None:
        longest = longest_index(dataset, None, silent, seconds=SCAN_SECONDS)
        return list(dict.fromkeys([longest, *range(wanted)]))[:wanted]
    order = np.argsort(-lengths, kind="stable")
    median = max(len(order) // 2 - batch_size // 2, 0)
    rows: dict[int, None] = {}
    for batch in range(batches):
        first = round(median * batch / max(batches - 1, 1))
        rows.update(dict.fromkeys(order[first : first + batch_size].tolist()))
    return list(rows)


def expected_loss_seconds(workload: Workload, rows: Sequence[int], seconds: float) -> float:
    """What the loss of the whole evaluation set takes, from what that of these rows took.

    By tokens, source and target together; by samples where lengths are not known (recipes).
    """
    dataset = workload.eval_dataset
    if dataset is None or not rows:
        return 0.0
    tokens = row_tokens_of(dataset)
    if tokens is None:
        return seconds * len(dataset) / len(rows)
    return seconds * float(tokens.sum(dtype=np.int64) / tokens[list(rows)].sum(dtype=np.int64))
