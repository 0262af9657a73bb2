"""A plan of four profiles against an afternoon: one measured, one from history, one predicted, one too large."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.plan.goals import seek_goals
from speedtui.engine.plan.schedules import schedules
from speedtui.engine.plan.tables import checkpoint_frequencies, eval_frequencies
from speedtui.engine.plan_types import Advice, Change, Choice, Plan, ProfileRow, Saving
from speedtui.engine.timing.verdict import judge_finish, spare_seconds
from tests.engine.plan.estimators import EVAL_ROWS, STEPS_PER_EPOCH, estimator, settings

GIB = 1024**3
MADE_AT = datetime(2026, 5, 1, 15, 20).timestamp()
WINDOW = Window(deadline=datetime(2026, 5, 1, 18, 40).timestamp(), margin_seconds=1200.0)
"""Three hours twenty; safe until 18:20."""


def row(profile: str, p50: float | None, **fields: Any) -> ProfileRow:
    estimate = None
    if p50 is not None:
        terms = {"load": 40.0, "steps": p50 - 240.0, "evals": 180.0, "saves": 15.0, "final": 5.0}
        estimate = Estimate(p50_seconds=p50, p90_seconds=p50 * 1.05, terms=terms, total_steps=400, evals=4, saves=3)
    made = ProfileRow(
        profile=profile,
        description="",
        label="mb8 ga2 r16",
        values={},
        micro_batch_size=8,
        grad_accum_steps=2,
        max_length=1024,
        epochs=4,
        limit_bytes=80 * GIB,
        memory_fits=True,
        estimate=estimate,
        finish_p50=MADE_AT + p50 if p50 is not None else None,
        finish_p90=MADE_AT + p50 * 1.05 if p50 is not None else None,
        spare_seconds=spare_seconds(MADE_AT, estimate, WINDOW),
        fit=judge_finish(MADE_AT, estimate, WINDOW),
        source="measured",
    )
    return msgspec.structs.replace(made, **fields)


def profiles() -> list[ProfileRow]:
    cut = Change(
        path="train.epochs", before=5.0, after=4.0, reason="5 epochs end 24 minutes late",
        gives_up="an epoch of training", saves_seconds=2280.0,
    )  # fmt: skip
    smaller = Change(path="train.micro_batch_size", before=16, after=8, reason="16 need 91.0 GiB", saves_bytes=42 * GIB)
    return [
        row("fast", 7560.0, step_seconds=0.405, tokens_per_second=40_400.0, peak_bytes=int(48.9 * GIB)),
        row("balanced", 7680.0, step_seconds=0.412, tokens_per_second=39_800.0, peak_bytes=int(48.8 * GIB),
            changes=[smaller, cut]),
        row("quality", 11_280.0, step_seconds=0.611, tokens_per_second=26_800.0, peak_bytes=int(22.4 * GIB),
            source="history", source_age_seconds=2.2 * 86400),
        row("memory-efficient", 22_200.0, step_seconds=1.22, tokens_per_second=13_400.0, peak_bytes=77 * GIB,
            source="model", note="not probed: it would take 4 minutes"),
        row("huge", None, peak_bytes=96 * GIB, memory_fits=False, fit="no_memory", source="model"),
    ]  # fmt: skip


def plan(**fields: Any) -> Plan:
    asked, run = settings(checkpoint_every="1m"), estimator()
    made = Plan(
        made_at=MADE_AT,
        device="NVIDIA H100 80GB HBM3",
        device_here=True,
        limit_bytes=80 * GIB,
        train_rows=8000,
        mean_tokens=500.0,
        longest_tokens=1024,
        total_tokens=4_000_000,
        choice=Choice(profile="balanced", epochs=3.0, max_length=2048, reason="8000 rows lie between 5000 and 15000"),
        selected="balanced",
        profiles=profiles(),
        frequencies=[
            *eval_frequencies(asked, run, WINDOW, MADE_AT, STEPS_PER_EPOCH),
            *checkpoint_frequencies(asked, run, WINDOW, MADE_AT, STEPS_PER_EPOCH),
        ],
        schedules=schedules(asked, run, WINDOW, MADE_AT, STEPS_PER_EPOCH, eval_rows=EVAL_ROWS),
        goals=seek_goals(asked, run, WINDOW, MADE_AT, STEPS_PER_EPOCH),
        savings=[
            Saving(lever="group_by_length", seconds=730.0, share=0.24, padding_before=0.38, padding_after=0.06,
                   values={"train.group_by_length": True}, note="a less random order"),
            Saving(lever="packing", seconds=-190.0, share=-0.06, padding_before=0.38, padding_after=0.01,
                   values={"data.packing": True}),
        ],
        advice=[
            Advice(kind="wasteful", evidence="38 % of the padded tokens are padding, 6 % with this: saves 12m 10s",
                   lever="train.group_by_length false → true", changes={"train.group_by_length": True},
                   gain_seconds=730.0),
        ],
    )  # fmt: skip
    return msgspec.structs.replace(made, **fields)
