"""What follows from a trial's measurements: against the base, against the window, and the whole run so far."""

from __future__ import annotations

from typing import Literal, NamedTuple

from speedtui.engine.advise import gains
from speedtui.engine.candidate import Measurement, Memory, TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.timing.verdict import judge_ended, judge_finish
from speedtui.engine.units import format_share
from speedtui.tui.values import value_at

FitWord = Literal["✓ yes", "! tight", "✗ no", "?", "–", "…"]
"""`?`: not known yet, `–`: it never will be from this trial, `…`: it is being measured."""
FIT_STYLES: dict[FitWord, str] = {"✓ yes": "good", "! tight": "warn", "✗ no": "bad", "…": "accent"}

NOISY = 0.2
"""Half of a 95 % interval, as a share of the step time, from which what a trial says is little: two trials of the same
settings then differ by a quarter now and then."""

LENGTHENS = ("data.", "train.epochs", "train.max_steps", "train.effective_batch_size", "schedule.", "recipe.")
"""Settings that change what the whole run consists of: its time cannot be carried over from another candidate."""


class Ratio(NamedTuple):
    """Samples a second over another trial's, with the 95 % interval; the ends are None where there is none."""

    value: float
    low: float | None
    high: float | None
    in_turns: bool = False
    """The two were measured in turns and not one after the other."""

    @property
    def open(self) -> bool:
        """The interval contains no difference at all: which of the two is faster is not proven."""
        return self.low is not None and self.high is not None and self.low <= 1 <= self.high

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.value:.2f}×"
        return f"{self.value:.2f}× [{self.low:.2f} {self.high:.2f}]{' ?' if self.open else ''}"


def measured(trial: TrialRow) -> Measurement | None:
    """What its throughput probe found."""
    return trial.result.measurement if trial.result is not None else None


def memory_of(trial: TrialRow) -> Memory | None:
    """What its memory probe found."""
    return trial.result.memory if trial.result is not None else None


def base_of(run: RunState) -> TrialRow | None:
    """What the others are held against, here as on the Advisor: the trial of the run's own settings, else the first
    one measured; None where none is."""
    if run.study is None:
        return None
    paths = {path for trial in run.study.rows for path in trial.candidate.values}
    return gains.base_of(run.study, {path: value_at(run.config, path) for path in paths})


def ratio(study: StudyState, trial: TrialRow, base: TrialRow) -> Ratio | None:
    """How much faster a trial is than another; None where one of them was not measured.

    What a search measured in turns goes first. Else the interval is made from the two step times' own: the two were
    measured one after the other, so a machine that grew slower in between is not in it.
    """
    in_turns = gains.in_turns(study, base, trial)
    found = in_turns or gains.gain_between(base, trial)
    if found is None:
        return None
    if trial.candidate.id == base.candidate.id:
        return Ratio(found.ratio, None, None)
    return Ratio(found.ratio, found.low, found.high, in_turns is not None)


def lead(study: StudyState) -> tuple[TrialRow, Ratio] | None:
    """The next fastest trial that fits, and how much faster than it the best one is; None without two of them."""
    best = study.row(study.best) if study.best is not None else None
    others = [row for row in study.rows if row.status is TrialStatus.OK and row is not best and measured(row)]
    if best is None or not others:
        return None
    second = max(others, key=lambda row: found.samples_per_second if (found := measured(row)) else 0.0)
    found = ratio(study, best, second)
    return (second, found) if found is not None else None


def half_interval(found: Measurement) -> float:
    """Half of the step time's 95 % interval, as a share of it."""
    return (found.step_seconds_high - found.step_seconds_low) / 2 / found.step_seconds


def noise(trial: TrialRow) -> float | None:
    """Half of the step time's 95 % interval as a share of it, where that is so wide that it deserves a word."""
    found = measured(trial)
    if found is None or not found.step_seconds:
        return None
    half = half_interval(found)
    return half if half >= NOISY else None


def free_words(share: float) -> str:
    """`39 % free`, `over by 17 %`."""
    return f"{format_share(share)} free" if share >= 0 else f"over by {_share_over(share)}"


def free_cell(share: float, *, words: bool) -> str:
    """For a column: `39 %`, `over 17 %`, without `words` `-17 %`, and `-0.4 %` where it is less than one."""
    if share >= 0:
        return format_share(share)
    if words:
        return f"over {_share_over(share)}"
    return f"{min(share * 100, -0.1):.1f} %" if share > -0.01 else f"-{format_share(-share)}"


def _share_over(share: float) -> str:
    return format_share(-share) if share <= -0.005 else "<1 %"


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
    """Against the memory limit and the window, by the rule of the plan: P90 inside the safe limit is a yes."""
    if trial.status is TrialStatus.RUNNING:
        return "…"
    if trial.status is TrialStatus.OUT_OF_MEMORY or _too_large(run, trial):
        return "✗ no"
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
        return "✓ yes" if trial.status is TrialStatus.OK else "–"
    if result.estimate is None:  # a P50 alone can say that it is late, and not that it is in time
        return "✗ no" if judge_ended(run.now + result.full_run_seconds, run.window) == "late" else "?"
    words: dict[str, FitWord] = {"fits": "✓ yes", "tight": "! tight", "late": "✗ no"}
    return words.get(judge_finish(run.now, result.estimate, run.window), "?")
