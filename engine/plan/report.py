"""report.json of a plan, as a plain document."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.window import Window
from speedtui.engine.plan_types import Fit, Plan, ProfileRow

VERDICTS: dict[Fit, str | None] = {
    "fits": "on_track", "tight": "tight", "late": "late", "no_memory": "no_memory", "unknown": None,
}  # fmt: skip
"""As a run's report calls them."""


def plan_document(plan: Plan, run: str, window: Window | None, versions: Mapping[str, str]) -> dict[str, Any]:
    """The selected profile's estimate against the window, what it rests on, and every row of the plan.

    The keys are those of a study's and a training's report; seconds, bytes, tokens; null is not known.
    """
    row = plan.row
    return {
        "run": run,
        "time": _moment(plan.made_at),
        "profile": plan.selected,
        "label": row.label if row is not None else None,
        "estimate": _estimate_entry(row.estimate if row is not None else None),
        "finish": _finish_entry(row),
        "window": window_entry(window),
        "verdict": VERDICTS[row.fit] if row is not None else None,
        "fits_in_window": _fits(row),
        "fits_in_memory": row.memory_fits if row is not None else None,
        "actual": None,
        "accuracy": None,
        "dataset": {
            "train_rows": plan.train_rows,
            "held_out_rows": plan.held_out_rows,
            "cut_rows": plan.cut_rows,
            "dropped_rows": plan.dropped_rows,
            "eval_cut_rows": plan.eval_cut_rows,
            "eval_dropped_rows": plan.eval_dropped_rows,
            "mean_tokens": plan.mean_tokens and round(plan.mean_tokens, 2),
            "longest_tokens": plan.longest_tokens,
            "mean_target_tokens": plan.mean_target_tokens and round(plan.mean_target_tokens, 2),
            "longest_target_tokens": plan.longest_target_tokens,
            "total_tokens": plan.total_tokens,
        },
        "device": {"name": plan.device, "here": plan.device_here, "limit_bytes": plan.limit_bytes},
        "versions": dict(versions),
        "choice": msgspec.to_builtins(plan.choice),
        "profiles": msgspec.to_builtins(plan.profiles),
        "frequencies": msgspec.to_builtins(plan.frequencies),
        "schedules": msgspec.to_builtins(plan.schedules),
        "goals": msgspec.to_builtins(plan.goals),
        "savings": msgspec.to_builtins(plan.savings),
        "advice": msgspec.to_builtins(plan.advice),
    }


def _estimate_entry(estimate: Estimate | None) -> dict[str, Any] | None:
    if estimate is None:
        return None
    return {
        "hours": round(estimate.p50_seconds / 3600, 4),
        "p50_seconds": round(estimate.p50_seconds, 1),
        "p90_seconds": round(estimate.p90_seconds, 1),
        "terms": {name: round(seconds, 1) for name, seconds in estimate.terms.items()},
        "total_steps": estimate.total_steps,
        "evals": estimate.evals,
        "saves": estimate.saves,
        "source": estimate.source,
    }


def _finish_entry(row: ProfileRow | None) -> dict[str, Any] | None:
    if row is None or row.finish_p50 is None:
        return None
    return {
        "p50": _moment(row.finish_p50),
        "p90": _moment(row.finish_p90) if row.finish_p90 is not None else None,
        "spare_seconds": row.spare_seconds and round(row.spare_seconds, 1),
    }


def window_entry(window: Window | None) -> dict[str, Any] | None:
    """The window as times of day with their zone."""
    if window is None:
        return None
    return {"deadline": _moment(window.deadline), "margin_seconds": window.margin_seconds}


def _fits(row: ProfileRow | None) -> bool | None:
    """Of the window; a run that does not fit in memory ends in none."""
    if row is None or row.fit == "unknown":
        return None
    return row.fit == "fits"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
