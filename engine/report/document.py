"""report.json of a training, as a plain document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from speedtui.engine.plan.report import window_entry
from speedtui.engine.report.books import closed_books
from speedtui.engine.report.files import dataset_entry, flops_entry, terms_entry, to_digits
from speedtui.engine.report.record import EstimateComparison, TrainingReport
from speedtui.engine.state import RunState, Totals


def training_document(state: RunState, report: TrainingReport) -> dict[str, Any]:
    """Everything the report says; seconds, bytes, tokens, shares; null is not known."""
    books = closed_books(state)
    return {
        "run": state.run,
        "job": state.job,
        "time": _moment(report.ended_at),
        "started": _moment(report.started_at),
        "outcome": state.outcome,
        "reason": state.reason,
        "log_passed_over": msgspec.to_builtins(state.passed_over),
        "profile": report.profile,
        "label": report.label,
        "trial": report.trial,
        **_time_entries(report),
        "steps": _steps_entry(report),
        "loss": _loss_entry(report),
        "books": msgspec.to_builtins(books) if books is not None else None,
        "largest_costs": [msgspec.to_builtins(cost) for cost in report.costs],
        "evaluations": _evaluations_entry(report),
        "checkpoints": {**_totals_entry(report.saves), "writing_seconds": _seconds(report.writes.seconds),
                        "failed": report.failed_saves},
        "gaps": _totals_entry(report.gaps),
        "first_batches_seconds": _seconds(report.first_batches_seconds),
        "stalls": _totals_entry(report.stalls),
        "restarts": report.restarts,
        "away_seconds": _seconds(report.away_seconds),
        "idle_seconds": _seconds(report.moves.idle_seconds),
        "paused_seconds": _seconds(report.paused_seconds),
        "changed": report.changed,
        "dataset": dataset_entry(state.model),
        "device_use": _device_entry(report),
        "devices": [msgspec.to_builtins(device) for device in state.devices],
        "versions": state.versions,
        "model_path": report.model_path,
    }  # fmt: skip


def _loss_entry(report: TrainingReport) -> dict[str, Any]:
    found = report.nonfinite
    return {
        "first": report.first_loss,
        "last": report.last_loss if found is None else None,
        "nonfinite_steps": report.nonfinite_steps,
        "nonfinite_gradients": report.nonfinite_gradients,
        "skipped_steps": report.skipped_steps,
        "nonfinite": found and {
            "what": found.what, "since": found.since, "last_finite_step": found.last_finite_step,
            "diverged": found.certain, "weights": found.where or None, "checkpoint": found.checkpoint,
        },
    }  # fmt: skip


def _time_entries(report: TrainingReport) -> dict[str, Any]:
    """The estimate, what it took, the window and how it was kept."""
    kept = report.verdict
    return {
        "estimate": _estimate_entry(report.comparison),
        "actual": _actual_entry(report),
        "accuracy": report.comparison.accuracy,
        "accuracy_judgement": report.comparison.judgement,
        "accuracy_note": report.comparison.note,
        "window": window_entry(report.window),
        "verdict": kept,
        "fits_in_window": kept == "on_track" if kept is not None else None,
        "spare_seconds": _seconds(report.spare_seconds),
    }


def _estimate_entry(comparison: EstimateComparison) -> dict[str, Any]:
    estimate = comparison.estimate
    return {
        "hours": estimate and round(estimate.p50_seconds / 3600, 4),
        "p50_seconds": estimate and round(estimate.p50_seconds, 1),
        "p90_seconds": estimate and round(estimate.p90_seconds, 1),
        "terms": terms_entry(estimate),
        "source": estimate and estimate.source,
        "while_running": _running_entry(comparison),
    }


def _running_entry(comparison: EstimateComparison) -> dict[str, Any] | None:
    """What the training said of itself after its first steps."""
    if comparison.running_step is None:
        return None
    return {"step": comparison.running_step, "p50_seconds": _seconds(comparison.running_seconds)}


def _actual_entry(report: TrainingReport) -> dict[str, Any]:
    actual = report.comparison.actual_seconds
    return {
        "hours": actual and round(actual / 3600, 4),
        "seconds": _seconds(actual),
        "training_seconds": report.training_seconds,
        "steps": report.steps,
    }


def _steps_entry(report: TrainingReport) -> dict[str, Any]:
    return {
        "done": report.steps,
        "planned": report.total_steps,
        "ended_by": report.end_reason,
        "seconds": _seconds(report.steps_done.seconds),
        "mean_seconds": report.steps_done.mean_seconds and round(report.steps_done.mean_seconds, 6),
        "tokens_per_second": report.tokens_per_second and round(report.tokens_per_second, 2),
    }


def _device_entry(report: TrainingReport) -> dict[str, Any]:
    """MFU over all steps, and how idle the device was in those that were profiled last."""
    busy = report.device_busy
    return {
        "mfu": to_digits(report.mfu, 4),
        "flops": flops_entry(report.flops),
        "idle_fraction": busy and to_digits(busy.idle_fraction, 4),
        "profiled_steps": busy and {"steps": busy.steps, "last": busy.step, "phases": busy.phases, "busy": busy.busy},
    }


def _evaluations_entry(report: TrainingReport) -> dict[str, Any]:
    best = report.best
    return {
        "full": _totals_entry(report.full_evaluations),
        "loss": _totals_entry(report.loss_evaluations),
        "best": best
        and {
            "step": best.step,
            "loss": best.loss,
            "metrics": best.metrics,
            "rows": best.rows,
            "left_out": best.left_out,
            "cut": best.cut,
            "answers": best.answers,
            "unanswered": best.unanswered,
        },
    }


def _totals_entry(totals: Totals) -> dict[str, Any]:
    return {
        "count": totals.count,
        "seconds": _seconds(totals.seconds),
        "mean_seconds": _seconds(totals.mean_seconds),
        "largest_seconds": _seconds(totals.largest_seconds) if totals.count else None,
    }


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
