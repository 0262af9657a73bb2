"""What follows from a trial's measurements: against the base, against the window, and the whole run so far."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

from speedtui.engine.candidate import Estimate, Measurement, Memory, TrialStatus
from speedtui.engine.plan.verdict import judge_finish
from speedtui.engine.state import RunState, StudyState, TrialRow

FitWord = Literal["yes", "TIGHT", "NO", "?", "–", "…"]
"""`?`: not known yet, `–`: it never will be from this trial, `…`: it is being measured."""
FIT_STYLES: dict[FitWord, str] = {"yes": "good", "TIGHT": "warn", "NO": "bad", "…": "accent"}

LENGTHENS = ("data.", "train.epochs", "train.max_steps", "train.effective_batch_size", "schedule.", "recipe.")
"""Settings that change what the whole run consists of: its time cannot be carried over from another candidate."""


class Ratio(NamedTuple):
    """Samples a second over another trial's, with the 95 % interval; the ends are None where there is none."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.2f}×"
        return f"{self.value:.2f}× [{self.low:.2f} {self.high:.2f}]"


def measured(trial: TrialRow) -> Measurement | None:
    """What its throughput probe found."""
    return trial.result.measurement if trial.result is not None else None


def memory_of(trial: TrialRow) -> Memory | None:
    """What its memory probe found."""
    return trial.result.memory if trial.result is not None else None


def base_of(study: StudyState) -> TrialRow | None:
    """What the others are held against: the first candidate listed, once it is measured."""
    first = study.rows[0] if study.rows else None
    return first if first is not None and measured(first) is not None else None


def ratio(trial: TrialRow, base: TrialRow) -> Ratio | None:
    """How much faster a trial is than another; None where one of them was not measured.

    The interval is made from the two step times' own 95 % intervals, as if they were independent: half-widths on a
    logarithmic scale, added in quadrature. The two were measured one after the other, so a machine that grew slower
    in between is not in it.
    """
    mine, other = measured(trial), measured(base)
    if mine is None or other is None or not other.samples_per_second:
        return None
    value = mine.samples_per_second / other.samples_per_second
    if trial.candidate.id == base.candidate.id:
        return Ratio(value, None, None)
    widths = [_log_half_width(mine), _log_half_width(other)]
    if None in widths:
        return Ratio(value, None, None)
    half = math.hypot(*(width or 0.0 for width in widths))
    return Ratio(value, value * math.exp(-half), value * math.exp(half))


def _log_half_width(found: Measurement) -> float | None:
    """None where the interval is a point: too few batches to make one."""
    if not 0 < found.step_seconds_low < found.step_seconds_high:
        return None
    return math.log(found.step_seconds_high / found.step_seconds_low) / 2


def full_run_seconds(study: StudyState, trial: TrialRow) -> tuple[float, bool] | None:
    """The whole run at P50, and whether that is only likely: scaled from another trial's by the steps so far."""
    if trial.result is not None:
        known = trial.result.full_run_seconds
        return (known, False) if known is not None else None
    so_far = trial.step_seconds_so_far
    other = next((row for row in study.rows if so_far is not None and _comparable(row, trial)), None)
    if other is None or other.result is None or so_far is None:
        return None
    estimate, found = other.result.estimate, other.result.measurement
    if estimate is None or found is None:
        return None
    steps = estimate.terms.get("steps", 0.0)
    return estimate.p50_seconds - steps + steps * so_far / found.step_seconds, True


def _comparable(other: TrialRow, trial: TrialRow) -> bool:
    """Whether the two runs would differ in nothing but the time of their steps."""
    if measured(other) is None or other.result is None or other.result.estimate is None:
        return False
    return _lengths(other) == _lengths(trial)


def _lengths(trial: TrialRow) -> dict[str, object]:
    return {path: value for path, value in trial.candidate.values.items() if path.startswith(LENGTHENS)}


def finish(run: RunState, trial: TrialRow) -> float | None:
    """Wall clock at P50 if its training started now; None where the whole run is not known or only likely."""
    total = full_run_seconds(run.study, trial) if run.study is not None else None
    return run.now + total[0] if total is not None and not total[1] else None


def fits(run: RunState, trial: TrialRow) -> FitWord:
    """Against the memory limit and the window, by the rule of the plan: P90 inside the safe limit is `yes`."""
    if trial.status is TrialStatus.RUNNING:
        return "…"
    if trial.status is TrialStatus.OUT_OF_MEMORY or _too_large(run, trial):
        return "NO"
    if not trial.status.finished:
        return "?"
    return _in_time(run, trial)


def _too_large(run: RunState, trial: TrialRow) -> bool:
    """Measured, or else predicted, above the limit."""
    memory = memory_of(trial)
    peak = memory.peak_bytes if memory is not None and memory.peak_bytes is not None else trial.predicted_bytes
    limit = memory.limit_bytes if memory is not None and memory.limit_bytes is not None else None
    if limit is None and run.study is not None:
        limit = run.study.memory_limit_bytes
    return peak is not None and limit is not None and peak > limit


def _in_time(run: RunState, trial: TrialRow) -> FitWord:
    result = trial.result
    if result is None or result.full_run_seconds is None:
        return "–"
    if run.window is None:
        return "yes" if trial.status is TrialStatus.OK else "–"
    if result.estimate is None:  # a P50 alone can say that it is late, and not that it is in time
        return "NO" if run.now + result.full_run_seconds > run.window.deadline else "?"
    return _word(run, result.estimate)


def _word(run: RunState, estimate: Estimate) -> FitWord:
    words: dict[str, FitWord] = {"fits": "yes", "tight": "TIGHT", "late": "NO"}
    return words.get(judge_finish(run.now, estimate, run.window), "?")
