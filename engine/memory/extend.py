"""What a whole model holds, from what models with fewer of its layers hold."""

from __future__ import annotations

from collections.abc import Sequence

from speedtui.engine.memory.depth import DepthPlan
from speedtui.engine.memory.timeline import HeldBytes, Label, Segments

Vector = tuple[float, ...]
"""Bytes by part, as in `HeldBytes`."""
Points = dict[Label, list[Vector]]
"""`Segments` of a model that was not run."""
Shift = list[Vector]
"""What is added to each point of a label."""


class DifferentSteps(Exception):
    """Two runs that should differ in sizes only differ in what they do."""


def as_points(segments: Segments) -> Points:
    """Of a model that was run whole."""
    return {label: list(points) for label, points in segments.items()}


def places(count: int) -> list[int]:
    """How the layers of a stack are called: from the front, the last one from the back."""
    return [*range(count - 1), -1]


def extend(runs: Sequence[Segments], plan: DepthPlan) -> Points:
    """The whole model's points from those of `plan.runs`: each grows by as much with every further layer.

    A layer inside the deep model stands for those next to the front, and once more for those next to the back;
    between the two what is held is a straight line, whose ends are the highest.

    Raises:
        DifferentSteps: the runs do not match.
    """
    deep, *shallow = runs
    found: Points = {}
    for label, points in deep.items():
        added = [_added(k, label, deep, shallow[k], plan) for k in range(len(shallow))]
        for number, of_stacks in enumerate(_combined(added)):
            found[(*label, "again") if number else label] = [
                _sum(point, *shifts) for point, *shifts in zip(points, *of_stacks, strict=True)
            ]
    return found


def _combined(alternatives: Sequence[list[Shift]]) -> list[list[Shift]]:
    """One shift for each stack; at most one stack offers two."""
    most = max(map(len, alternatives))
    return [[shifts[min(i, len(shifts) - 1)] for shifts in alternatives] for i in range(most)]


def _added(k: int, label: Label, deep: Segments, shallow: Segments, plan: DepthPlan) -> list[Shift]:
    """For the missing layers of stack k."""
    missing = plan.missing(k)
    points = deep[label]
    if label in shallow:
        return [[_growth(a, b, missing) for a, b in _matched(points, shallow[label])]]
    if len(label) < 4 or label[1] != plan.stacks[k]:
        raise DifferentSteps(f"{label} is only in the deeper model")
    shifts = []
    for end in (plan.shallow[k] - 2, -1):
        same = (*label[:2], end, *label[3:])
        if same not in deep or same not in shallow:
            raise DifferentSteps(f"{label} is in no layer at the end")
        shifts.append([_growth(deep[same][0], shallow[same][0], missing)] * len(points))
    return shifts


def _matched(points: Sequence[HeldBytes], others: Sequence[HeldBytes]) -> list[tuple[HeldBytes, HeldBytes]]:
    """Point by point; where a phase has more of them with more layers, as the optimizer's has, by the highest."""
    if len(points) == len(others):
        return list(zip(points, others, strict=True))
    return [(max(points, key=sum), max(others, key=sum))] * len(points)


def _growth(deep: HeldBytes, shallow: HeldBytes, times: float) -> Vector:
    return tuple((a - b) * times for a, b in zip(deep, shallow, strict=True))


def _sum(*vectors: Vector) -> Vector:
    return tuple(map(sum, zip(*vectors, strict=True)))
