"""report.json after a training: what it took beside what was expected."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.context.context import JobContext
from speedtui.engine.events import TrainingFinished
from speedtui.engine.plan.report import window_entry
from speedtui.engine.report.files import REPORT_NAME, dataset_entry, terms_entry, write_json


def write_training_report(
    context: JobContext, finished: TrainingFinished, estimate: Estimate | None, actual_seconds: float | None
) -> None:
    """Writes report.json; where it cannot be written, that is a notice.

    `actual_seconds`: what the estimate is of, from the start to the saved model; None for a run that was resumed.
    """
    books = context.phases.books()
    now = context.clock.started_at + context.t
    window = context.order.window
    document = {
        "run": context.folder.id,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile": context.order.profile,
        "label": context.order.label,
        "estimate": {
            "hours": estimate and round(estimate.p50_seconds / 3600, 4),
            "p50_seconds": estimate and round(estimate.p50_seconds, 1),
            "p90_seconds": estimate and round(estimate.p90_seconds, 1),
            "terms": terms_entry(estimate),
        },
        "actual": {
            "hours": actual_seconds and round(actual_seconds / 3600, 4),
            "seconds": actual_seconds and round(actual_seconds, 3),
            "training_seconds": finished.seconds,
            "steps": finished.steps,
        },
        "accuracy": accuracy(estimate.p50_seconds if estimate is not None else None, actual_seconds),
        "loss": {"first": finished.first_loss, "last": finished.last_loss},
        "window": window_entry(window),
        "verdict": None if window is None else ("on_track" if now <= window.safe_until else "late"),
        "fits_in_window": None if window is None else now <= window.safe_until,
        "books": msgspec.to_builtins(books),
        "dataset": dataset_entry(context.loaded),
        "devices": [msgspec.to_builtins(device) for device in context.devices],
        "versions": context.versions,
        "model_path": finished.model_path,
    }
    try:
        write_json(context.folder.path / REPORT_NAME, document)
    except OSError as error:
        context.notice(f"{REPORT_NAME} could not be written: {error.strerror}", level="warning", hint="Make room.")


def accuracy(estimate_seconds: float | None, actual_seconds: float | None) -> float | None:
    """estimate / actual: 1 is exact, above 1 the run was faster than expected; None where one is not known."""
    return round(estimate_seconds / actual_seconds, 4) if estimate_seconds and actual_seconds else None
