"""A run as tables: steps.csv, evaluations.csv, trials.csv."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, TrialResult
from speedtui.engine.clean import UNBOUNDED, clean
from speedtui.engine.files import create_beside, make_folder, write_whole
from speedtui.engine.state.wall import WallFollower

STEPS, EVALUATIONS, TRIALS = "steps.csv", "evaluations.csv", "trials.csv"
STEP_COLUMNS = (
    "t", "time", "step", "steps", "micro_steps", "samples", "tokens", "padding_tokens", "loss",
    "nonfinite_steps", "nonfinite_gradients", "skipped_steps", "learning_rate", "seconds", "tokens_per_second",
    "peak_allocated_bytes", "peak_reserved_bytes", "alloc_retries",
    *(f"phases.{name}" for name in e.STEP_PHASES), *(f"device_phases.{name}" for name in e.STEP_PHASES),
)  # fmt: skip
"""`t`: seconds since the run started; `time`: wall clock, seconds since the epoch; `steps`: how many the row is of,
`nonfinite_steps`: of them those with a loss that was NaN or infinite."""

FORMULA = tuple("=+-@＝＋－＠")
"""What a formula opens with."""

CsvRow = Mapping[str, Any]


class Tables:
    """Takes a run's events and writes its tables into a folder; those of an earlier export are replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError: the folder cannot be made or written."""
        make_folder(folder)
        self._folder = folder
        beside = create_beside(folder / STEPS)
        self._aside = Path(beside.name)
        self._file = io.TextIOWrapper(beside, encoding="utf-8", newline="")
        self._steps = csv.DictWriter(self._file, STEP_COLUMNS)
        self._steps.writeheader()
        self._step_rows = 0
        self._last_step = 0
        self._wall = WallFollower()
        self._evaluations: list[CsvRow] = []
        self._candidates: dict[int, Candidate] = {}
        self._results: dict[int, TrialResult] = {}

    def take(self, event: e.AnyEvent) -> None:
        """Takes in one event. Raises OSError: the disk takes no more."""
        self._wall.see(event)
        match event:
            case e.StepCompleted() if event.trial is None and event.step > self._last_step:
                self._last_step = event.step  # one that was done again after a restart is not told twice
                self._step_rows += 1
                self._steps.writerow(_safe(_step_row(event, self._wall.at(event.t))))
            case e.EvaluationCompleted():
                self._evaluations.append(_evaluation_row(event, self._wall.at(event.t)))
            case e.StudyStarted():
                self._candidates.update({candidate.id: candidate for candidate in event.candidates})
            case e.CandidateAdded() | e.CandidateEdited():
                self._candidates[event.candidate.id] = event.candidate
            case e.CandidateRemoved():
                self._candidates.pop(event.trial, None)
                self._results.pop(event.trial, None)
            case e.TrialFinished():
                self._results[event.trial] = event.result

    def close(self) -> dict[Path, int]:
        """Puts the tables in their places; returns the rows of each. One without rows is not there.

        Raises:
            OSError: the disk takes no more.
        """
        self._file.close()
        trials = [trial_row(candidate, self._results.get(id)) for id, candidate in self._candidates.items()]
        written: dict[Path, int] = {}
        steps = self._folder / STEPS
        if self._step_rows:
            os.replace(self._aside, steps)
            written[steps] = self._step_rows
        else:
            self._aside.unlink()
            steps.unlink(missing_ok=True)
        for name, rows in ((EVALUATIONS, self._evaluations), (TRIALS, trials)):
            path = self._folder / name
            if rows:
                write_rows(path, rows)
                written[path] = len(rows)
            else:
                path.unlink(missing_ok=True)
        return written

    def discard(self) -> None:
        """Leaves no trace of what was begun."""
        self._file.close()
        self._aside.unlink(missing_ok=True)


def write_rows(path: Path, rows: Sequence[CsvRow]) -> None:
    """A table with the columns of all its rows, whole or not at all.

    Raises:
        OSError: no room or no permission.
    """
    safe = [_safe(row) for row in rows]
    columns = dict.fromkeys(name for row in safe for name in row)
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(columns))
    writer.writeheader()
    writer.writerows(safe)
    write_whole(path, table.getvalue())


def _safe(row: CsvRow) -> CsvRow:
    return {str(_cell(name)): _cell(value) for name, value in row.items()}


def _cell(value: Any) -> Any:
    """Numbers as they are, texts as clean ones; one that a spreadsheet would take for a formula opens with a quote.

    Such are those that open with `=`, `+`, `-` or `@`, wide or not, and are no number: OWASP, CSV Injection.
    """
    if value is None or isinstance(value, int | float):
        return value
    text = clean(str(value), UNBOUNDED)
    return f"'{text}" if text.lstrip()[:1] in FORMULA and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _step_row(event: e.StepCompleted, time: float) -> CsvRow:
    """A phase that a line leaves out took no time; an empty cell is not measured."""
    row: dict[str, Any] = {
        "t": event.t, "time": round(time, 3), "step": event.step, "steps": event.steps,
        "micro_steps": event.micro_steps, "samples": event.samples, "tokens": event.tokens,
        "padding_tokens": event.padding_tokens, "loss": event.loss,
        "nonfinite_steps": event.nonfinite_steps or int(event.nonfinite),
        "nonfinite_gradients": event.nonfinite_gradients, "skipped_steps": event.skipped_steps,
        "learning_rate": event.lr, "seconds": event.seconds, "peak_allocated_bytes": event.peak_allocated_bytes,
        "peak_reserved_bytes": event.peak_reserved_bytes, "alloc_retries": event.alloc_retries,
        "tokens_per_second": round(event.tokens / event.seconds, 2) if event.tokens and event.seconds else None,
    }  # fmt: skip
    for table, phases in (("phases", event.phases), ("device_phases", event.device_phases)):
        if phases is not None:
            row |= {f"{table}.{name}": phases.get(name, 0.0) for name in e.STEP_PHASES}
    return row


def _evaluation_row(event: e.EvaluationCompleted, time: float) -> CsvRow:
    return {
        "t": event.t, "time": round(time, 3), "step": event.step, "kind": event.kind,
        "loss": event.loss, "nonfinite": event.nonfinite, "seconds": event.seconds, "rows": event.rows,
        "left_out": event.left_out, "cut": event.cut, "answers": event.answers, "unanswered": event.unanswered,
        "unscored": event.unscored, "best": event.best,
        **{f"metrics.{name}": value for name, value in event.metrics.items()},
        **{f"phases.{name}": value for name, value in event.phases.items()},
    }  # fmt: skip


def trial_row(candidate: Candidate, result: TrialResult | None) -> CsvRow:
    """One trial in trials.csv; None is an empty cell."""
    measured = result.measurement if result is not None else None
    memory = result.memory if result is not None else None
    estimate = result.estimate if result is not None else None
    seen = result.conditions if result is not None else None
    return {
        "trial": candidate.id, "label": candidate.label, "status": result.status if result is not None else "waiting",
        "reason": result.reason if result is not None else "", "micro_batch_size": candidate.micro_batch_size,
        "grad_accum_steps": candidate.grad_accum_steps, **candidate.values,
        "samples_per_second": measured and measured.samples_per_second,
        "tokens_per_second": measured and measured.tokens_per_second,
        "step_seconds": measured and measured.step_seconds,
        "step_seconds_low": measured and measured.step_seconds_low,
        "step_seconds_high": measured and measured.step_seconds_high,
        "batches": measured and measured.batches, "warmup_batches": measured and measured.warmup_batches,
        "peak_allocated_bytes": memory and memory.peak_allocated_bytes,
        "peak_reserved_bytes": memory and memory.peak_reserved_bytes,
        "peak_rss_bytes": memory and memory.peak_rss_bytes,
        "predicted_bytes": memory and memory.predicted_bytes, "limit_bytes": memory and memory.limit_bytes,
        "full_run_p50_seconds": estimate and estimate.p50_seconds,
        "full_run_p90_seconds": estimate and estimate.p90_seconds,
        "trial_seconds": result and result.seconds,
        "idle_fraction": measured and measured.idle_fraction, "mfu": measured and measured.mfu,
        "sm_clock_mhz": seen and seen.sm_clock_mhz, "lowest_sm_clock_mhz": seen and seen.lowest_sm_clock_mhz,
        "highest_celsius": seen and seen.highest_celsius, "power_watts": seen and seen.power_watts,
        "throttled_fraction": seen and seen.throttled_fraction,
        "power_capped_fraction": seen and seen.power_capped_fraction,
    }  # fmt: skip


def write_tables(events: Iterable[e.AnyEvent], folder: Path) -> dict[Path, int]:
    """The tables of a run in a folder; returns the rows of each.

    Raises:
        OSError: the folder cannot be written.
    """
    tables = Tables(folder)
    try:
        for event in events:
            tables.take(event)
        return tables.close()
    except BaseException:
        tables.discard()
        raise
