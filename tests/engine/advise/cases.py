"""A configuration with figures that can be followed by hand: 12 hours, 8 of which are left when it starts."""

from __future__ import annotations

from typing import Any

import msgspec

from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import DataSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.config.window import Window
from speedtui.engine.plan_types import Fit, FrequencyRow, Goal, ProfileRow, Saving

HOUR, MINUTE, GIB = 3600.0, 60.0, 1024**3
NOW = 1_000_000.0
SETTINGS = Settings(
    data=DataSettings(train="train.jsonl", max_length=2048),
    train=TrainSettings(epochs=3, effective_batch_size=16, micro_batch_size=8),
    schedule=ScheduleSettings(eval_every="1 epoch", checkpoint_every="30m"),
)
WINDOW = Window(deadline=NOW + 8 * HOUR, margin_seconds=0.5 * HOUR)
"""Safe for 7.5 hours."""


def estimate(hours: float, **terms: float) -> Estimate:
    """P90 is half an hour later; what the terms leave is in steps."""
    seconds = hours * HOUR
    terms = {"steps": seconds - sum(terms.values()), **terms}
    return Estimate(
        p50_seconds=seconds, p90_seconds=seconds + 0.5 * HOUR, terms=terms, total_steps=1500, evals=3, saves=4
    )


def row(profile: str, hours: float | None, fit: Fit, **fields: Any) -> ProfileRow:
    made = ProfileRow(
        profile=profile,
        description="",
        label="mb8 ga2 r16",
        values={},
        micro_batch_size=8,
        grad_accum_steps=2,
        max_length=2048,
        epochs=3,
        memory_fits=True,
        estimate=estimate(hours) if hours is not None else None,
        fit=fit,
        source="measured",
    )
    return msgspec.structs.replace(made, **fields)


def case(hours: float | None, fit: Fit, **fields: Any) -> RuleInput:
    made = RuleInput(settings=SETTINGS, row=row("balanced", hours, fit), now=NOW, window=WINDOW)
    return msgspec.structs.replace(made, **fields)


def spacing(
    every: str, steps: int | None, count: int, cost: float, total: float, fit: Fit, **fields: Any
) -> FrequencyRow:
    made = FrequencyRow(
        what="eval", every=every, every_steps=steps, count=count, cost_seconds=cost, share=cost / total,
        total_seconds=total, finish=NOW + total, fit=fit,
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)


def grouping(minutes: float, before: float = 0.38, after: float = 0.06) -> Saving:
    return Saving(
        lever="group_by_length", seconds=minutes * MINUTE, share=0.1, padding_before=before, padding_after=after,
        values={"train.group_by_length": True}, note="a less random order",
    )  # fmt: skip


def epochs(value: float) -> Goal:
    return Goal(what="epochs", value=value, text=f"{value} epochs", values={"train.epochs": value})
