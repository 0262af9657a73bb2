"""The columns of the trials' table; they go by priority as the screen gets narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count, format_seconds, format_size, format_span
from speedtui.tui.candidates import figures
from speedtui.tui.drawing.text import clean, clock
from speedtui.tui.panes.results import TRIAL_STYLES, status_word

Text = tuple[str, str]
"""What stands in a cell, and its style."""
MISSING: Text = ("–", "dim")
LEFT = ("status", "fits", "note")
"""Columns of words; the others hold figures."""
SHORTEST_CONFIG, LEAST_CONFIG, MOST_CONFIG = 13, 19, 40
"""Cells for a configuration's name: on a narrow screen, what other columns must leave it elsewhere, and the most."""
PROOF = 2
"""Cells at the end of a comparison for the question mark of one that is open."""
NOISE_FROM = "other work on this machine?"
FREE = 8
"""Cells of the free share where the screen has no room for words."""
NARROW = 72
"""Cells below which a column more tells more than a longer name."""
WIDE = 100
"""Cells from which columns with words have their room."""


class TableContext(NamedTuple):
    """What all rows of a table share, worked out once for all of them."""

    run: RunState
    study: StudyState
    base: TrialRow | None
    """What the others are held against; None before the first is measured."""
    unproven: bool
    """Whether the best one may be no faster than the next one."""

    @staticmethod
    def of(run: RunState, study: StudyState) -> TableContext:
        """Of a run's study."""
        ahead = figures.lead(study)
        return TableContext(run, study, figures.base_of(run), ahead is not None and ahead[1].open)


class TrialColumn(NamedTuple):
    """A column after number and configuration."""

    name: str
    width: int
    """Its gap to the one before included."""
    priority: int
    """The highest number goes first where there is no room."""
    text: Callable[[TableContext, TrialRow], Text]

    def heading(self, told: TableContext) -> str:
        """Its name; the comparison names what it compares with."""
        named = self.name == "vs base" and told.base is not None
        return f"vs #{told.base.candidate.id}" + " " * PROOF if named and told.base is not None else self.name


def chosen_columns(width: int, longest: int, lead: int) -> tuple[list[TrialColumn], int]:
    """The columns that fit beside a lead of so many cells, and the cells for the configuration's name.

    `longest`: cells that the longest name would take.
    """
    others = SHORT if width < NARROW else WITH_WORDS if width >= WIDE else {}
    chosen = [others.get(column.name, column) for column in COLUMNS]
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


def _status(told: TableContext, trial: TrialRow) -> Text:
    running = trial.status is TrialStatus.RUNNING
    return live_status(told.study, trial) if running else status_word(trial.status), TRIAL_STYLES[trial.status]


def _short_status(told: TableContext, trial: TrialRow) -> Text:
    """With `no memory` for the longest one."""
    text, style = _status(told, trial)
    return text.replace("out of memory", "no memory"), style


def _step(told: TableContext, trial: TrialRow) -> Text:
    found = figures.measured(trial)
    if found is None:
        return (f"~{format_seconds(trial.step_seconds_so_far)}", "") if trial.steps.count else MISSING
    return f"{format_seconds(found.step_seconds)} ±{figures.half_interval(found) * 100:.1f} %", ""


def _samples(told: TableContext, trial: TrialRow) -> Text:
    found = figures.measured(trial)
    return _rate(trial, found.samples_per_second if found is not None else None, trial.steps.samples_per_second)


def _tokens(told: TableContext, trial: TrialRow) -> Text:
    found = figures.measured(trial)
    return _rate(trial, found.tokens_per_second if found is not None else None, trial.steps.tokens_per_second)


def _rate(trial: TrialRow, known: float | None, so_far: float | None) -> Text:
    """Measured; of a running trial what its steps make so far."""
    if known is not None:
        return format_count(known), ""
    running = trial.status is TrialStatus.RUNNING and so_far is not None
    return (f"~{format_count(so_far)}", "") if running else MISSING


def _peak(told: TableContext, trial: TrialRow) -> Text:
    """Measured; else what is expected."""
    memory = figures.memory_of(trial)
    if memory is None or memory.peak_bytes is None:
        return _predicted(told, trial)
    return format_size(memory.peak_bytes), ""


def _free(told: TableContext, trial: TrialRow) -> Text:
    """Of the limit, at the peak: measured, else expected."""
    return _free_text(told, trial, words=False)


def _free_or_over(told: TableContext, trial: TrialRow) -> Text:
    """With by how much it is over."""
    return _free_text(told, trial, words=True)


def _free_text(told: TableContext, trial: TrialRow, *, words: bool) -> Text:
    memory = figures.memory_of(trial)
    if memory is not None and memory.headroom_fraction is not None:
        return figures.free_cell(memory.headroom_fraction, words=words), ""
    if trial.predicted_bytes is None or not told.study.memory_limit_bytes:
        return MISSING
    return f"~{figures.free_cell(1 - trial.predicted_bytes / told.study.memory_limit_bytes, words=words)}", "dim"


def _predicted(told: TableContext, trial: TrialRow) -> Text:
    return MISSING if trial.predicted_bytes is None else (f"~{format_size(trial.predicted_bytes)}", "dim")


def _against_base(told: TableContext, trial: TrialRow) -> Text:
    """Dim and with a question mark where the interval contains no difference; the mark has cells of its own."""
    found = figures.ratio(told.study, trial, told.base) if told.base is not None else None
    if found is None:
        return MISSING[0] + " " * PROOF, MISSING[1]
    text = str(found)
    quiet = found.open or trial is told.base
    return text if found.open else text + " " * PROOF, "dim" if quiet else ""


def _full_run(told: TableContext, trial: TrialRow) -> Text:
    total = figures.full_run_seconds(told.study, trial)
    if total is None:
        return MISSING
    return f"{'~' if total[1] else ''}{format_span(total[0])}", ""


def _p90(told: TableContext, trial: TrialRow) -> Text:
    estimate = trial.result.estimate if trial.result is not None else None
    return MISSING if estimate is None else (format_span(estimate.p90_seconds), "")


def _finish(told: TableContext, trial: TrialRow) -> Text:
    at = figures.finish(told.run, trial)
    return MISSING if at is None else (clock(at, told.run.now), "")


def _fits(told: TableContext, trial: TrialRow) -> Text:
    word = figures.fits(told.run, trial)
    return word, figures.FIT_STYLES.get(word, "dim")


def _note(told: TableContext, trial: TrialRow) -> Text:
    """What a person has to know before reading the figures."""
    number = trial.candidate.id
    if number == told.study.promoted:
        return "promoted", "good"
    if trial.result is not None and trial.result.reason:
        said = f"{status_word(trial.status)} "  # in the column of the status
        return clean(trial.result.reason).removeprefix(said), "dim"
    words = ["best, not proven" if told.unproven else "best"] if number == told.study.best else []
    words = words or (["base"] if trial is told.base else [])  # the heading names it, too
    noisy = figures.noise(trial)
    if noisy is not None:
        return "; ".join([*words, f"noisy ±{noisy * 100:.0f} %: {NOISE_FROM}"]), "warn"
    return ", ".join(words), "dim"


COLUMNS = (
    TrialColumn("status", 14, 0, _status),
    TrialColumn("step ±", 15, 6, _step),
    TrialColumn("smp/s", 7, 2, _samples),
    TrialColumn("tok/s", 7, 9, _tokens),
    TrialColumn("peak", 10, 4, _peak),
    TrialColumn("free", FREE, 5, _free),
    TrialColumn("predicted", 11, 11, _predicted),
    TrialColumn("vs base", 21, 7, _against_base),
    TrialColumn("ETA", 9, 3, _full_run),
    TrialColumn("p90", 9, 12, _p90),
    TrialColumn("finish", 10, 10, _finish),
    TrialColumn("fits", 8, 1, _fits),
    TrialColumn("note", 18, 8, _note),
)
"""The most telling ones have the lowest priority numbers. ETA: how long the whole run takes, at P50."""
WITH_WORDS = {"free": TrialColumn("free", 12, 5, _free_or_over)}
"""In place of columns of the same names on a wide screen."""
SHORT = {"status": TrialColumn("status", 13, 0, _short_status)}
"""And on a narrow one."""
