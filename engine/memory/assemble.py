"""From what is held with a few micro-batches to a surface."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from speedtui.engine.memory.extend import DifferentSteps, Points, Vector
from speedtui.engine.memory.peak_model import LinearBytes, MemorySurface, PeakMoment
from speedtui.engine.memory.timeline import Label

SINGLE, SMALL, LARGE = 1, 2, 4
"""Micro-batches that are computed: one row has no padding; two sizes make a line."""


class Both(msgspec.Struct, frozen=True, kw_only=True):
    """What a whole model holds with and without gradients of an earlier micro-step."""

    accumulating: Points
    at_once: Points


def assemble(single: Sequence[Both], several: Sequence[tuple[Both, Both]], layers: tuple[int, ...]) -> MemorySurface:
    """What is held with SINGLE row, and with SMALL and LARGE rows: one of each, or as many as there are kinds of
    micro-batches that may need the most.

    Raises:
        DifferentSteps: more rows do something else than fewer.
    """
    return MemorySurface(
        accumulating=highest([m for a, b in several for m in _moments(a.accumulating, b.accumulating)]),
        at_once=highest([m for a, b in several for m in _moments(a.at_once, b.at_once)]),
        single=highest([m for one in single for m in _constant(one.accumulating)]),
        single_at_once=highest([m for one in single for m in _constant(one.at_once)]),
        layers=layers,
    )


def _moments(small: Points, large: Points) -> list[PeakMoment]:
    moments = []
    for label, points in small.items():
        others = large.get(label, [])
        if len(points) != len(others):
            raise DifferentSteps("the operations of a step are others for other micro-batches")
        moments += [_moment(label, list(map(_line, a, b))) for a, b in zip(points, others, strict=True)]
    return moments


def _line(small: float, large: float) -> LinearBytes:
    per_row = (large - small) / (LARGE - SMALL)
    return LinearBytes(fixed=small - SMALL * per_row, per_row=per_row)


def _constant(found: Points) -> list[PeakMoment]:
    return [_moment(label, _flat(point)) for label, points in found.items() for point in points]


def _flat(point: Vector) -> list[LinearBytes]:
    return [LinearBytes(fixed=value, per_row=0.0) for value in point]


def _moment(label: Label, lines: Sequence[LinearBytes]) -> PeakMoment:
    weights, gradients, optimizer, activations, logits = lines
    return PeakMoment(
        name=str(label[0]), weights=weights, gradients=gradients, optimizer=optimizer, activations=activations,
        logits=logits,
    )  # fmt: skip


def highest(moments: Sequence[PeakMoment]) -> tuple[PeakMoment, ...]:
    """Those that are the largest at some micro-batch from SMALL on; with constant lines the largest."""
    totals = [moment.total for moment in moments]
    current = max(range(len(moments)), key=lambda i: (totals[i].at(SMALL), totals[i].per_row))
    kept = [current]
    while steeper := [i for i, line in enumerate(totals) if line.per_row > totals[current].per_row]:
        lower = totals[current]
        current = min(steeper, key=lambda i: (_crossing(lower, totals[i]), -totals[i].per_row))
        kept.append(current)
    return tuple(moments[i] for i in kept)


def _crossing(lower: LinearBytes, steeper: LinearBytes) -> float:
    """The micro-batch from which the steeper one is larger."""
    return (lower.fixed - steeper.fixed) / (steeper.per_row - lower.per_row)
