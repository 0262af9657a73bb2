"""The micro-batches of a whole run, added up: all that a curve needs to say how long they take."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from speedtui.engine.candidate import Curve
from speedtui.engine.schedule.steps import StepCounts
from speedtui.engine.timing.curve import Floats, design

MOST_ROWS = 4_000_000
"""Rows that are put in order; the epochs beyond them are taken to be like the first, which they are at that size."""

Indices = npt.NDArray[np.int64]
EpochOrder = Callable[[int], Indices]
"""Row indices in the order in which an epoch, from 0, trains on them: (rows,)."""
TokensOf = Callable[[Indices], Floats]
"""Tokens of each micro-batch, (batches,), from its row indices (batches, micro_batch)."""


class RunShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the micro-batches of a run; linear in them, so that any curve can be applied afterwards."""

    total_steps: int
    epoch_steps: int
    epochs: int
    """Epochs that are begun."""
    micro_steps: int
    samples: int
    tokens: float
    """Without padding; 0 where lengths are unknown."""
    sums: tuple[float, float, float]
    """Of 1, rows x padded length, and rows x padded length^2."""
    moments: tuple[tuple[float, float, float], ...]
    """Sums of the products of those three: (3, 3)."""

    @property
    def padded_tokens(self) -> float:
        """With padding."""
        return self.sums[1]

    @property
    def padding_fraction(self) -> float:
        """Share of the padded tokens that is padding."""
        return 1 - self.tokens / self.sums[1] if self.sums[1] else 0.0

    def seconds(self, curve: Curve) -> float:
        """Of all steps: the curve's sum over the micro-batches, and what each step takes besides."""
        parts = (curve.fixed, curve.per_token, curve.per_square)
        return (
            math.fsum(p * s for p, s in zip(parts, self.sums, strict=True)) + self.total_steps * curve.optimizer_seconds
        )

    def deviation(self, curve: Curve) -> float:
        """Standard deviation of that sum from the spread of single micro-steps, in seconds."""
        parts = np.array([curve.fixed, curve.per_token, curve.per_square])
        return curve.spread * math.sqrt(max(float(parts @ np.array(self.moments) @ parts), 0.0))


def run_shape(counts: StepCounts, order: EpochOrder, padded: TokensOf | None, tokens: TokensOf | None) -> RunShape:
    """The shape of a run; `padded` and `tokens` are None where lengths are unknown, and only rows are counted."""
    exact = min(counts.epochs, max(MOST_ROWS // max(counts.rows, 1), 1))
    first: Floats | None = None
    total = np.zeros((4, 4))
    for epoch in range(counts.epochs):
        if epoch >= exact and first is not None and epoch < counts.whole_epochs:
            total += first
            continue
        batches = counts.epoch_batches if epoch < counts.whole_epochs else counts.last_batches
        products = _epoch_products(order(epoch if epoch < exact else 0), counts, batches, padded, tokens)
        total += products
        first = products if first is None else first
    sums = total[0]
    return RunShape(
        total_steps=counts.total_steps,
        epoch_steps=counts.epoch_steps,
        epochs=counts.epochs,
        micro_steps=round(sums[0]),
        samples=_samples(counts),
        tokens=float(sums[3]),
        sums=(float(sums[0]), float(sums[1]), float(sums[2])),
        moments=tuple((float(row[0]), float(row[1]), float(row[2])) for row in total[:3]),
    )


def _epoch_products(
    order: Indices, counts: StepCounts, batches: int, padded: TokensOf | None, tokens: TokensOf | None
) -> Floats:
    """Sums of the products of (1, rows x length, rows x length^2, tokens) over the first `batches`: (4, 4)."""
    total = np.zeros((4, 4))
    for rows in _micro_batches(order[: batches * counts.micro_batch_size], counts.micro_batch_size):
        size = padded(rows) if padded is not None else np.zeros(len(rows))
        terms = design(rows.shape[1], size / rows.shape[1])
        real = tokens(rows) if tokens is not None else np.zeros(len(rows))
        terms = np.concatenate([terms, real[:, None]], axis=1)
        total += terms.T @ terms
    return total


def _micro_batches(order: Indices, size: int) -> list[Indices]:
    """The order cut into micro-batches: the full ones, (batches, size), and a last one with what is left."""
    full = len(order) // size * size
    parts = [order[:full].reshape(-1, size), order[full:].reshape(1, -1)]
    return [part for part in parts if part.size]


def _samples(counts: StepCounts) -> int:
    last = min(counts.last_batches * counts.micro_batch_size, counts.rows)
    return counts.whole_epochs * counts.rows + last
