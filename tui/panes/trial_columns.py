"""The columns of the trials' table; they go by priority as the screen gets narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count, format_seconds, format_share, format_size, format_span
from speedtui.tui.candidates.figures import (
    FIT_STYLES,
    base_of,
    finish,
    fits,
    full_run_seconds,
    measured,
    memory_of,
    ratio,
)
from speedtui.tui.drawing.text import clean, clock
from speedtui.tui.panes.results import TRIAL_STYLES, status_word

Text = tuple[str, str]
"""What stands in a cell, and its style."""
MISSING: Text = ("–", "dim")
LEFT = ("status", "fits", "note")
"""Columns of words; the others hold figures."""
SHORTEST_CONFIG, LEAST_CONFIG, MOST_CONFIG = 13, 20, 40
"""Cells for a configuration's name: on a narrow screen, what other columns must leave it elsewhere, and the most."""
NARROW = 72
"""Cells below which a column more tells more than a longer name."""


class Column(NamedTuple):
    """A column after number and configuration."""

    name: str
    width: int
    """Its gap to the one before included."""
    priority: int
    """The highest number goes first where there is no room."""
    text: Callable[[RunState, StudyState, TrialRow], Text]

    def heading(self, study: StudyState) -> str:
        """Its name; the comparison names what it compares with."""
        return f"vs #{study.rows[0].candidate.id}" if self.name == "vs base" and study.rows else self.name


def chosen_columns(width: int, longest: int, lead: int) -> tuple[list[Column], int]:
    """The columns that fit beside a lead of so many cells, and the cells for the configuration's name.

    `longest`: cells that the longest name would take.
    """
    chosen = list(COLUMNS)
    wanted = min(longest, SHORTEST_CONFIG if width < NARROW else LEAST_CONFIG)
    while chosen and lead + wanted + sum(column.width for column in chosen) > width:
        chosen.remove(max(chosen, key=lambda column: column.priority))
    room = max(0, width - lead - sum(column.width for column in chosen))
    config = max(min(longest, room, MOST_CONFIG), min(SHORTEST_CONFIG, room))
    if chosen and chosen[-1].name == "note":
        chosen[-1] = chosen[-1]._replace(width=chosen[-1].width + max(0, room - config))
    return chosen, config


def live_status(study: StudyState, trial: TrialRow) -> str:
    """How far a running trial is. Which of its batches were warm-up shows only at its end."""
    if trial.probe == "throughput":
        done = trial.batches_done
        if trial.steps.count <= 1:
            return f"warm-up {done}"
        return f"run {done}/{study.batches}" if done <= study.batches else f"run {done}"
    return f"{trial.probe} probe" if trial.probe else "starting"


def _status(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    running = trial.status is TrialStatus.RUNNING
    return live_status(study, trial) if running else status_word(trial.status), TRIAL_STYLES[trial.status]


def _step(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    found = measured(trial)
    if found is None:
        return (f"~{format_seconds(trial.step_seconds_so_far)}", "") if trial.steps.count else MISSING
    half = (found.step_seconds_high - found.step_seconds_low) / 2 / found.step_seconds
    return f"{format_seconds(found.step_seconds)} ±{half * 100:.1f} %", ""


def _samples(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    found, steps = measured(trial), trial.steps
    if found is not None:
        return format_count(found.samples_per_second), ""
    running = trial.status is TrialStatus.RUNNING and steps.samples_per_second is not None
    return (f"~{format_count(steps.samples_per_second)}", "") if running else MISSING


def _tokens(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    found, steps = measured(trial), trial.steps
    if found is not None:
        return format_count(found.tokens_per_second), ""
    running = trial.status is TrialStatus.RUNNING and steps.tokens_per_second is not None
    return (f"~{format_count(steps.tokens_per_second)}", "") if running else MISSING


def _peak(run: RunState, study: StudyState, trial: TrialRow) -> Text:
    """Measured; else what is expected."""
    memory = memory_of(trial)
    if memory is None or memory.peak_bytes is None:
        return _predicted(run, study, trial)
    return format_size(memory.peak_bytes), ""


def _free(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    """Of the limit, at the peak: measured, else expected."""
    memory = memory_of(trial)
    if memory is not None and memory.headroom_fraction is not None:
        return _share(memory.headroom_fraction), ""
    if trial.predicted_bytes is None or not study.memory_limit_bytes:
        return MISSING
    return f"~{_share(1 - trial.predicted_bytes / study.memory_limit_bytes)}", "dim"


def _share(free: float) -> str:
    return format_share(free) if free >= 0 else "over"


def _predicted(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    return MISSING if trial.predicted_bytes is None else (f"~{format_size(trial.predicted_bytes)}", "dim")


def _against_base(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    base = base_of(study)
    found = ratio(trial, base) if base is not None else None
    return MISSING if found is None else (str(found), "dim" if trial is base else "")


def _full_run(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    total = full_run_seconds(study, trial)
    if total is None:
        return MISSING
    return f"{'~' if total[1] else ''}{format_span(total[0])}", ""


def _p90(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    estimate = trial.result.estimate if trial.result is not None else None
    return MISSING if estimate is None else (format_span(estimate.p90_seconds), "")


def _finish(run: RunState, study: StudyState, trial: TrialRow) -> Text:
    at = finish(run, trial)
    return MISSING if at is None else (clock(at, run.now), "")


def _fits(run: RunState, study: StudyState, trial: TrialRow) -> Text:
    word = fits(run, trial)
    return word, FIT_STYLES.get(word, "dim")


def _note(_: RunState, study: StudyState, trial: TrialRow) -> Text:
    if trial.candidate.id == study.promoted:
        return "promoted", "good"
    if trial.result is not None and trial.result.reason:
        said = f"{status_word(trial.status)} "  # in the column of the status
        return clean(trial.result.reason).removeprefix(said), "dim"
    words = {study.rows[0].candidate.id: "base", study.best: "best"}
    return words.get(trial.candidate.id, ""), "dim"


COLUMNS = (
    Column("status", 15, 0, _status),
    Column("step ±", 15, 6, _step),
    Column("smp/s", 7, 2, _samples),
    Column("tok/s", 7, 8, _tokens),
    Column("peak", 10, 4, _peak),
    Column("free", 7, 5, _free),
    Column("predicted", 11, 11, _predicted),
    Column("vs base", 19, 7, _against_base),
    Column("ETA", 9, 3, _full_run),
    Column("p90", 9, 12, _p90),
    Column("finish", 10, 9, _finish),
    Column("fits", 6, 1, _fits),
    Column("note", 10, 10, _note),
)
"""The most telling ones have the lowest priority numbers. ETA: how long the whole run takes, at P50."""
