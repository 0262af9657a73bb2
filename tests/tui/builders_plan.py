"""Runs with a window in their configuration, and plans, built from round numbers."""

from __future__ import annotations

from typing import Any

import builders as b
import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.plan_types import Choice, Plan, ProfileRow
from speedtui.engine.profile.load import Profiles, built_in_profiles
from speedtui.engine.state import fold
from speedtui.engine.units import GIB
from speedtui.tui.draft.draft import Draft, Value
from speedtui.tui.draft.next_run import NextRun, next_run, options_of
from speedtui.tui.draft.schedule_edit import settings_now

SCHEDULE: dict[str, Any] = {"eval_every": "1200 steps", "checkpoint_every": "2400 steps"}
WINDOW: dict[str, Any] = {"length": "3h20m", "margin": "20m"}


TABLES: dict[str, Any] = {
    "train": {"max_steps": 18_000, "micro_batch_size": 8}, "schedule": SCHEDULE, "window": WINDOW,
    "data": {"eval": "/data/eval.jsonl"},
}  # fmt: skip


def with_config(log: list[e.AnyEvent], **tables: dict[str, Any]) -> list[e.AnyEvent]:
    """The same run with other settings, by table."""
    started = log[0]
    assert isinstance(started, e.RunStarted)
    config = {name: {**value, **tables.get(name, {})} if isinstance(value, dict) else value
              for name, value in started.config.items()}  # fmt: skip
    return [msgspec.structs.replace(started, config=config), *log[1:]]


def training(steps: int = 7578, **tables: dict[str, Any]) -> list[e.AnyEvent]:
    """A training of 18000 steps of 412 ms; evaluations take 14.2 s, checkpoints 3.8 s."""
    return with_config(b.training_log(steps), **{**TABLES, **tables})


def estimate(steps_seconds: float, *, late: float = 480.0) -> Estimate:
    """18000 steps, 15 evaluations, 8 checkpoints; 41 s before and 4 s after them."""
    terms = {"load": 41.0, "compile": 0.0, "steps": steps_seconds, "evals": 213.0, "generate": 0.0, "metric": 0.0,
             "saves": 30.4, "final": 4.0}  # fmt: skip
    p50 = sum(terms.values())
    return Estimate(
        p50_seconds=p50, p90_seconds=p50 + late, terms=terms, total_steps=18_000, evals=15, saves=8, source="measured"
    )


def profile_row(name: str, micro: int, steps_seconds: float, peak_gib: float, **more: Any) -> ProfileRow:
    return ProfileRow(
        profile=name, description=f"{name}, as it is planned", label=f"mb{micro} ga{16 // micro}",
        values={"train.micro_batch_size": micro}, micro_batch_size=micro, grad_accum_steps=16 // micro,
        max_length=1024, epochs=3.0, step_seconds=steps_seconds / 18_000, tokens_per_second=39_800.0,
        peak_bytes=int(peak_gib * GIB), limit_bytes=b.GPU.memory_bytes, memory_fits=peak_gib < 79,
        eval_seconds=14.2, save_seconds=3.8, estimate=estimate(steps_seconds), source=more.pop("source", "measured"),
        **more,
    )  # fmt: skip


def plan() -> Plan:
    """Four profiles: one fits, one is tight, one is late, one does not fit the memory."""
    return Plan(
        made_at=b.STARTED_AT + 60, device=b.GPU.name, device_here=True, limit_bytes=b.GPU.memory_bytes,
        train_rows=96_000, mean_tokens=212.0, longest_tokens=1024, total_tokens=20_000_000,
        choice=Choice(profile="fast", epochs=3.0, max_length=1024, reason="many rows"), selected="fast",
        profiles=[
            profile_row("fast", 8, 7416.0, 48.8), profile_row("balanced", 4, 10_300.0, 40.1),
            profile_row("quality", 2, 22_000.0, 31.2, source="model"),
            profile_row("memory-efficient", 16, 7000.0, 88.0, source="history", source_age_seconds=86_400.0),
        ],
    )  # fmt: skip


def planned_log(**tables: dict[str, Any]) -> list[e.AnyEvent]:
    """A run that planned and is over."""
    given = {
        "train": {"max_steps": 18_000}, "schedule": SCHEDULE, "window": WINDOW, "data": {"eval": "/data/eval.jsonl"},
        **tables,
    }  # fmt: skip
    log = with_config([b.run_started(job="plan"), b.hardware(1.0), b.model_loaded()], **given)
    return [*log, e.PlanMade(t=60.0, plan=plan()), e.RunFinished(t=61.0, outcome="ok", exit_code=0)]


def window(seconds: float = 12_000.0, margin: float = 1200.0, now: float = 0.0) -> Window:
    return Window(deadline=now + seconds, margin_seconds=margin)


def made(log: list[e.AnyEvent], values: dict[str, Value] | None = None, *, profile: str = "") -> NextRun:
    """What a run and some edits come to."""
    run = fold(log)
    base = settings_now(run)
    options = options_of(base, run, run, Profiles(profiles=built_in_profiles()))
    draft = Draft(base=base)
    if profile:
        draft = draft.take(profile, next(one.values for one in options if one.name == profile))
    return next_run(draft.edit(values or {}), options, run, run, run.now)
