"""What the axis of a chart is made for, so that one value far out does not make a flat line of all the others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

FENCE = 3.0
"""Interquartile ranges from the quartiles, beyond which a value is far out (Tukey, Exploratory Data Analysis, 1977)."""
FLATTENED = 3.0
"""Times as high as without them, from which a chart of all values takes too much from those that are not far out."""
FEW = 0.02
"""Share of the values that may be left outside: more of them are no spike but the course of it."""
ENOUGH = 10
"""Values from which on some can be called far out."""


def without_spikes(values: Sequence[float]) -> list[float]:
    """All values, unless a few that are far out would flatten the others: then without those."""
    if len(values) < ENOUGH:
        return list(values)
    first, _, third = statistics.quantiles(values, n=4)
    reach = FENCE * (third - first)
    kept = [value for value in values if first - reach <= value <= third + reach]
    inside = max(kept) - min(kept)
    flattens = max(values) - min(values) > FLATTENED * inside
    few = len(values) - len(kept) <= max(1, FEW * len(values))
    return kept if flattens and few and inside > 0 else list(values)
