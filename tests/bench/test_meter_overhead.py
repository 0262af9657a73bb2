"""What the meter costs the training thread: in its trainer beside the bare one, and by itself.

Required is what a training of transformers' models costs. For a model of whose labels the bare Trainer counts nothing
(`uncounted`) the metered one still counts them, since it weighs each micro-batch by them.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import pytest
from figures import Median, keep, median_of, table
from overhead import (
    BareArm,
    CallCosts,
    MeteredArm,
    PlainMeteredArm,
    SilentArm,
    UncountedModel,
    call_costs,
    compare,
    tiny_arguments,
)  # fmt: skip

REQUIRED_MICROSECONDS = 20.0
PAIRS, STEPS = 40, 150


@pytest.mark.parametrize("accumulation", [1, 4])
def test_metered_steps_cost_little_more_cpu_than_bare_ones(accumulation: int, tmp_path: Path) -> None:
    arguments = tiny_arguments(tmp_path, STEPS, accumulation)
    arms = {
        "bare": BareArm(), "silent": SilentArm(), "metered": MeteredArm(tmp_path / "events.jsonl"),
        "bare, uncounted": BareArm(UncountedModel), "a program's own": PlainMeteredArm(tmp_path / "program.jsonl"),
    }  # fmt: skip
    try:
        costs = compare(arms, arguments, PAIRS)
    finally:
        for arm in arms.values():
            arm.close()
    differences = {
        "metered - bare": differences_of(costs["metered"], costs["bare"]),
        "a program's own - bare": differences_of(costs["a program's own"], costs["bare"]),
        "metered - silent": differences_of(costs["metered"], costs["silent"]),
        "metered - bare, uncounted": differences_of(costs["metered"], costs["bare, uncounted"]),
    }
    rows: list[list[Any]] = [[name, statistics.median(values), None, None] for name, values in costs.items()]
    rows += [[name, found.median, found.low, found.high] for name, found in differences.items()]
    print(table([f"accumulation {accumulation}: CPU us a step", "median", "low", "high"], rows))
    print(f"pump thread and all else: {arms['metered'].beside_microseconds:.1f} us a step beside the training thread")
    keep(f"meter_overhead_accumulation_{accumulation}", {
        "required_microseconds": REQUIRED_MICROSECONDS, "pairs": PAIRS, "steps": STEPS,
        "microseconds_a_step": {name: median_of(values) for name, values in costs.items()},
        "differences": differences, "per_micro_step": differences["metered - silent"].median / accumulation,
    })  # fmt: skip
    if accumulation == 1:
        assert differences["metered - bare"].median <= REQUIRED_MICROSECONDS


def test_the_meters_own_calls_are_cheap() -> None:
    rows, figures = [], {}
    for accumulation in (1, 4):
        costs: CallCosts = call_costs(accumulation)
        figures[f"accumulation_{accumulation}"] = costs
        rows.append([f"accumulation {accumulation}", costs.whole_step.median, costs.whole_step.low,
                     costs.whole_step.high, costs.callback.median])  # fmt: skip
    print(table(["us of CPU a step", "meter's calls", "low", "high", "with get_last_lr"], rows))
    keep("meter_calls", {"required_microseconds": REQUIRED_MICROSECONDS, "microseconds": figures})
    assert figures["accumulation_1"].whole_step.median <= REQUIRED_MICROSECONDS


def differences_of(ones: list[float], others: list[float]) -> Median:
    return median_of([one - other for one, other in zip(ones, others, strict=True)])
