"""A training in progress whose numbers are not finite: what can still be set."""

from __future__ import annotations

from collections.abc import Iterator

from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.events import NonFiniteFound
from speedtui.engine.plan_types import Advice

RATE, POLICY = "train.learning_rate", "schedule.on_nonfinite"
LOWER = 0.5
"""Of the learning rate: what is advised, and what going back takes each time."""


def lower_rate(rate: float) -> float:
    """The next lower rate, as it is written."""
    return float(f"{rate * LOWER:.6g}")


def not_finite_levers(settings: Settings, found: NonFiniteFound) -> list[Advice]:
    """What helps, the most certain first. `found`: what is not finite, as it was told last."""
    evidence = f"not finite since step {found.since}" + (
        ", and neither are the weights" if found.certain and found.where else ""
    )
    return [
        Advice(kind="not_finite", evidence=evidence, lever=words, changes=changes, gain_seconds=None)
        for words, changes in _levers(settings, found)
    ]


def _levers(settings: Settings, found: NonFiniteFound) -> Iterator[tuple[str, dict[str, Scalar]]]:
    policy, rate = settings.schedule.on_nonfinite, lower_rate(settings.train.learning_rate)
    when = "" if found.certain else " once nothing else brings it back"
    if found.checkpoint is not None and policy != "go_back":
        words = f"go back to step {found.checkpoint} at half the learning rate{when}"
        yield words, {POLICY: "go_back"}
    if not found.certain:
        yield f"halve the learning rate to {rate:g}", {RATE: rate}
    if policy != "stop":
        left = f"and leave the model of step {found.checkpoint}" if found.checkpoint is not None else "without a model"
        yield f"stop{when} {left}", {POLICY: "stop"}
