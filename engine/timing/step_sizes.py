"""How long each step of a run is, in padded tokens, in the order in which it trains."""

from __future__ import annotations

import numpy as np

from speedtui.engine.config.settings import Settings
from speedtui.engine.schedule.steps import StepCounts, counts_of
from speedtui.engine.timing.curve import Floats
from speedtui.engine.timing.run_shape import MOST_ROWS, Indices
from speedtui.engine.timing.workload_shape import run_order
from speedtui.engine.workload.base import Workload


def step_sizes(workload: Workload, settings: Settings) -> Floats | None:
    """Padded tokens of each optimizer step, (total_steps,), float64; None where lengths are unknown.

    The last step of an epoch has the micro-batches that are left, as the trainer has it. Epochs beyond as many as make
    4 million rows are taken to be like the first, so that a long run is known in a second.
    """
    if workload.lengths is None:
        return None
    counts = counts_of(settings, workload.facts.train_rows)
    order = run_order(settings.train, counts, workload.row_tokens)
    exact = max(MOST_ROWS // max(counts.rows, 1), 1)
    first = _epoch(workload, order(0), counts)
    epochs = [first if epoch == 0 or epoch >= exact else _epoch(workload, order(epoch), counts)
              for epoch in range(counts.epochs)]  # fmt: skip
    return np.concatenate(epochs)[: counts.total_steps]


def _epoch(workload: Workload, order: Indices, counts: StepCounts) -> Floats:
    """Of one epoch: (epoch_steps,)."""
    size = counts.micro_batch_size
    full = len(order) // size * size
    parts = [workload.padded_tokens(rows) for rows in (order[:full].reshape(-1, size), order[full:].reshape(1, -1))
             if rows.size]  # fmt: skip
    micro_batches = np.concatenate(parts)
    return np.add.reduceat(micro_batches, np.arange(0, len(micro_batches), counts.accumulation))
