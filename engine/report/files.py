"""trials.json, train.sh and report.json in the run's folder."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from speedtui.engine.candidate import Candidate, Estimate, TrialResult
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.context.context import JobContext
from speedtui.engine.efficiency import ModelFlops
from speedtui.engine.events import ModelLoaded
from speedtui.engine.files import write_whole
from speedtui.engine.plan.report import VERDICTS, window_entry
from speedtui.engine.report.promote import CONFIG_NAME, SCRIPT_NAME, write_promoted
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.timing.verdict import judge_finish

TRIALS_NAME = "trials.json"
REPORT_NAME = "report.json"
Writers = dict[str, Callable[[Path], object]]
"""What writes a file of a run's folder, by the file's name."""


class StudyResults(Protocol):
    """What the files are written from."""

    candidates: dict[int, Candidate]
    results: dict[int, TrialResult]
    promoted: int | None

    def best(self) -> int | None:
        """The fastest trial that fits."""


def write_study_files(context: JobContext, study: StudyResults) -> dict[str, str]:
    """Writes them; a file that cannot be written is a notice. Returns the paths by name."""
    chosen = study.promoted if study.promoted in study.candidates else study.best()
    writers: Writers = {
        TRIALS_NAME: lambda path: write_json(path, trials_document(context, study)),
        REPORT_NAME: lambda path: write_json(path, report_document(context, study)),
    }
    if chosen is not None:
        candidate = study.candidates[chosen]
        writers[SCRIPT_NAME] = lambda _: write_promoted(context.folder, context.settings, context.order, candidate)
    failed = write_each(context.folder, writers)
    for path, reason in failed.items():
        context.notice(f"{path} could not be written: {reason}", level="warning", hint="Make room.")
    paths = {name: str(context.folder.path / name) for name in writers}
    files = {name: path for name, path in paths.items() if path not in failed}
    if SCRIPT_NAME in files:
        files[CONFIG_NAME] = str(context.folder.path / CONFIG_NAME)
    return files


def write_each(folder: RunFolder, writers: Writers) -> dict[str, str]:
    """Writes what can be written; returns the reason for each file that cannot, by its path."""
    failed = {}
    for name, write in writers.items():
        path = folder.path / name
        try:
            write(path)
        except OSError as error:
            failed[str(path)] = error.strerror or str(error)
    return failed


def trials_document(context: JobContext, study: StudyResults) -> list[dict[str, Any]]:
    """trials.json: every candidate with its settings and what was measured."""
    window = context.order.window
    return [
        trial_entry(candidate, study.results.get(trial), context.settings, window, context.clock.wall(context.t))
        for trial, candidate in study.candidates.items()
    ]


def trial_entry(
    candidate: Candidate, result: TrialResult | None, settings: Settings, window: Window | None, now: float
) -> dict[str, Any]:
    """One trial; seconds, bytes, tokens; null is not measured."""
    measured = result.measurement if result is not None else None
    memory = result.memory if result is not None else None
    estimate = result.estimate if result is not None else None
    return {
        "trial": candidate.id,
        "label": candidate.label,
        "config": candidate.values,
        "resolved": msgspec.to_builtins(apply_candidate(candidate, settings).train),
        "status": result.status if result is not None else "waiting",
        "reason": result.reason if result is not None else "",
        "micro_batch_size": candidate.micro_batch_size,
        "grad_accum_steps": candidate.grad_accum_steps,
        "effective_batch_size": candidate.effective_batch_size,
        "samples_per_second": measured and round(measured.samples_per_second, 4),
        "tokens_per_second": measured and round(measured.tokens_per_second, 2),
        "padding_fraction": measured and round(measured.padding_fraction, 4),
        "step_seconds": measured and round(measured.step_seconds, 6),
        "step_seconds_interval": measured
        and [round(measured.step_seconds_low, 6), round(measured.step_seconds_high, 6)],
        "micro_step_seconds": measured and round(measured.micro_step_seconds, 6),
        "optimizer_seconds": measured and round(measured.optimizer_seconds, 6),
        "phases": measured and measured.phases,
        "busy_phases": measured and measured.busy_phases,
        "idle_fraction": measured and to_digits(measured.idle_fraction, 4),
        "flops": flops_entry(measured.flops if measured is not None else None),
        "mfu": measured and to_digits(measured.mfu, 4),
        "device_conditions": result and result.conditions and msgspec.to_builtins(result.conditions),
        "batches": measured and measured.batches,
        "warmup_batches": measured and measured.warmup_batches,
        "peak_allocated_bytes": memory and memory.peak_allocated_bytes,
        "peak_reserved_bytes": memory and memory.peak_reserved_bytes,
        "peak_rss_bytes": memory and memory.peak_rss_bytes,
        "predicted_bytes": memory and memory.predicted_bytes,
        "limit_bytes": memory and memory.limit_bytes,
        "headroom": memory and memory.headroom_fraction and round(memory.headroom_fraction, 4),
        "longest_tokens": memory and memory.longest_tokens,
        "full_run_p50_seconds": estimate and round(estimate.p50_seconds, 1),
        "full_run_p90_seconds": estimate and round(estimate.p90_seconds, 1),
        "full_run_terms": terms_entry(estimate),
        "fits": fits(estimate, window, now),
        "trial_seconds": result and result.seconds,
        "base_weights_unchanged": result and result.base_weights_unchanged,
    }


def to_digits(value: float | None, digits: int = 3) -> float | None:
    """None stays None."""
    return None if value is None else round(value, digits)


def flops_entry(flops: ModelFlops | None) -> dict[str, Any] | None:
    """The model's floating-point operations, and those a second that the device can do."""
    if flops is None:
        return None
    return {
        "per_token": to_digits(flops.per_token, 0),
        "per_sample": to_digits(flops.per_sample, 0),
        "peak_per_second": flops.peak,
        "precision": flops.precision or None,
    }


def terms_entry(estimate: Estimate | None) -> dict[str, float] | None:
    """What the P50 consists of, seconds."""
    return None if estimate is None else {name: round(seconds, 2) for name, seconds in estimate.terms.items()}


def estimate_entry(estimate: Estimate | None) -> dict[str, Any]:
    """An estimate of a whole run, with its terms."""
    return {
        "hours": estimate and round(estimate.p50_seconds / 3600, 4),
        "p50_seconds": estimate and round(estimate.p50_seconds, 1),
        "p90_seconds": estimate and round(estimate.p90_seconds, 1),
        "terms": terms_entry(estimate),
    }


def fits(estimate: Estimate | None, window: Window | None, now: float) -> bool | None:
    """Whether it is on track, if it starts now; None where that cannot be said."""
    fit = judge_finish(now, estimate, window)
    return None if fit == "unknown" else fit == "fits"


def report_document(context: JobContext, study: StudyResults) -> dict[str, Any]:
    """report.json: the estimate of the best trial against the window, and what it rests on."""
    best = study.best()
    result = study.results[best] if best is not None else None
    now = context.clock.wall(context.t)
    window = context.order.window
    estimate = result.estimate if result is not None else None
    return {
        "run": context.folder.id,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "profile": None,
        "trial": best,
        "label": study.candidates[best].label if best is not None else None,
        "estimate": {
            **estimate_entry(estimate),
            "total_steps": estimate and estimate.total_steps,
            "evals": estimate and estimate.evals,
            "saves": estimate and estimate.saves,
            "of": "time against length, summed over the run's own micro-batches, with loading, evaluations and saves",
        },
        "window": window_entry(window),
        "verdict": VERDICTS[judge_finish(now, estimate, window)],
        "fits_in_window": fits(estimate, window, now),
        "actual": None,
        "accuracy": None,
        "dataset": dataset_entry(context.loaded),
        "devices": [msgspec.to_builtins(device) for device in context.devices],
        "versions": context.versions,
        "trials": {"total": len(study.candidates), "finished": len(study.results)},
    }


def dataset_entry(loaded: ModelLoaded | None) -> dict[str, Any] | None:
    """What the data holds; lengths in tokens."""
    if loaded is None:
        return None
    return {
        "train_rows": loaded.train_rows,
        "eval_rows": loaded.eval_rows,
        "longest_tokens": loaded.longest_tokens,
        "mean_tokens": loaded.mean_tokens and round(loaded.mean_tokens, 2),
        "longest_target_tokens": loaded.longest_target_tokens,
        "mean_target_tokens": loaded.mean_target_tokens and round(loaded.mean_target_tokens, 2),
        "cut_rows": loaded.cut_rows,
        "dropped_rows": loaded.dropped_rows,
        "held_out_rows": loaded.held_out_rows,
        "eval_cut_rows": loaded.eval_cut_rows,
        "eval_dropped_rows": loaded.eval_dropped_rows,
    }


def write_json(path: Path, document: Any) -> None:
    """Writes a document whole: a reader sees the old file or the new one.

    Raises:
        OSError: no room or no permission.
    """
    write_whole(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
