"""report.json and report.html of a run, made from its event log."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from speedtui.engine.context.order import read_order
from speedtui.engine.files import write_whole
from speedtui.engine.log.read import read_state
from speedtui.engine.plan.report import window_entry
from speedtui.engine.report.books import closed_books
from speedtui.engine.report.compose import RunExpectation, training_report
from speedtui.engine.report.files import (
    REPORT_NAME,
    Writers,
    dataset_entry,
    estimate_entry,
    flops_entry,
    to_digits,
    write_each,
    write_json,
)
from speedtui.engine.report.page.page import render_page
from speedtui.engine.report.record import EstimateComparison, TrainingReport
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, Totals


def training_document(report: TrainingReport) -> dict[str, Any]:
    """Everything the report says; seconds, bytes, tokens, shares; null is not known."""
    state, training = report.state, report.training
    books = closed_books(state)
    return {
        "run": state.run,
        "job": state.job,
        "time": _moment(report.ended_at),
        "started": _moment(state.started_at),
        "outcome": state.outcome,
        "reason": state.reason,
        "log_passed_over": msgspec.to_builtins(state.passed_over),
        "profile": report.profile,
        "label": training.label,
        "trial": training.trial,
        **_time_entries(report),
        "steps": _steps_entry(report),
        "loss": _loss_entry(report),
        "books": msgspec.to_builtins(books) if books is not None else None,
        "largest_costs": [msgspec.to_builtins(cost) for cost in report.costs],
        "evaluations": _evaluations_entry(report),
        "checkpoints": {
            **_totals_entry(training.checkpoint_totals),
            "writing_seconds": to_digits(training.write_totals.seconds),
            "failed": training.checkpoint_failures,
        },
        "gaps": _totals_entry(training.gap_totals),
        "first_batches_seconds": to_digits(report.first_batches_seconds),
        "stalls": _totals_entry(state.stall_totals),
        "restarts": state.restarts,
        "away_seconds": to_digits(report.away_seconds),
        "idle_seconds": to_digits(state.moves.idle_seconds),
        "paused_seconds": to_digits(report.paused_seconds),
        "changed": training.changed,
        "dataset": dataset_entry(state.model),
        "device_use": _device_entry(report),
        "devices": [msgspec.to_builtins(device) for device in state.devices],
        "versions": state.versions,
        "model_path": report.model_path,
    }  # fmt: skip


def _loss_entry(report: TrainingReport) -> dict[str, Any]:
    training = report.training
    found = training.nonfinite
    return {
        "first": report.first_loss,
        "last": report.last_loss if found is None else None,
        "nonfinite_steps": training.nonfinite_steps,
        "nonfinite_gradients": training.nonfinite_gradients,
        "skipped_steps": training.skipped_steps,
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
        "window": window_entry(report.state.window),
        "verdict": kept,
        "fits_in_window": kept == "on_track" if kept is not None else None,
        "spare_seconds": to_digits(report.spare_seconds),
    }


def _estimate_entry(comparison: EstimateComparison) -> dict[str, Any]:
    """What was expected before the run, and what the training said of itself after its first steps."""
    estimate, step = comparison.estimate, comparison.running_step
    running = {"step": step, "p50_seconds": to_digits(comparison.running_seconds)}
    return {
        **estimate_entry(estimate),
        "source": estimate and estimate.source,
        "while_running": running if step is not None else None,
    }


def _actual_entry(report: TrainingReport) -> dict[str, Any]:
    actual = report.comparison.actual_seconds
    return {
        "hours": actual and round(actual / 3600, 4),
        "seconds": to_digits(actual),
        "training_seconds": report.training_seconds,
        "steps": report.steps,
    }


def _steps_entry(report: TrainingReport) -> dict[str, Any]:
    training = report.training
    return {
        "done": report.steps,
        "planned": report.total_steps,
        "ended_by": report.end_reason,
        "seconds": to_digits(training.step_totals.seconds),
        "mean_seconds": training.step_totals.mean_seconds and round(training.step_totals.mean_seconds, 6),
        "tokens_per_second": report.tokens_per_second and round(report.tokens_per_second, 2),
    }


def _device_entry(report: TrainingReport) -> dict[str, Any]:
    """MFU over all steps, and how idle the device was in those that were profiled last."""
    training = report.training
    busy = training.device_busy
    return {
        "mfu": to_digits(training.mfu, 4),
        "flops": flops_entry(training.flops),
        "idle_fraction": busy and to_digits(busy.idle_fraction, 4),
        "profiled_steps": busy and {"steps": busy.steps, "last": busy.step, "phases": busy.phases, "busy": busy.busy},
    }


def _evaluations_entry(report: TrainingReport) -> dict[str, Any]:
    best = report.best
    return {
        "full": _totals_entry(report.training.full_evaluations),
        "loss": _totals_entry(report.training.loss_evaluations),
        "best": best and {
            "step": best.step, "loss": best.loss, "metrics": best.metrics, "rows": best.rows,
            "left_out": best.left_out, "cut": best.cut, "answers": best.answers, "unanswered": best.unanswered,
        },
    }  # fmt: skip


def _totals_entry(totals: Totals) -> dict[str, Any]:
    return {
        "count": totals.count,
        "seconds": to_digits(totals.seconds),
        "mean_seconds": to_digits(totals.mean_seconds),
        "largest_seconds": to_digits(totals.largest_seconds) if totals.count else None,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


PAGE_NAME = "report.html"


def write_run_report(folder: RunFolder) -> dict[str, str]:
    """Writes both for a run that is over in whatever way, from its folder alone.

    Returns the reason for each file that could not be written, by its path.
    """
    return write_reports(folder, read_state(folder.events), expected_of(folder))


def write_reports(folder: RunFolder, state: RunState, expected: RunExpectation) -> dict[str, str]:
    """report.html, and report.json where there is a training: a study and a plan have written their own.

    Returns the reason for each file that could not be written, by its path.
    """
    writers: Writers = {PAGE_NAME: lambda path: write_whole(path, render_page(state, expected))}
    if state.training is not None:
        report = training_report(state, expected)
        writers[REPORT_NAME] = lambda path: write_json(path, training_document(report))
    return write_each(folder, writers)


def expected_of(folder: RunFolder) -> RunExpectation:
    """What the run was ordered with; nothing where its order is gone."""
    try:
        order = read_order(folder)
    except (OSError, msgspec.DecodeError):
        return RunExpectation()
    return RunExpectation(estimate=order.estimate, profile=order.profile)
