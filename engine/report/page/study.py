"""A study's trials, where the run made some."""

from __future__ import annotations

from speedtui.engine.candidate import TrialResult
from speedtui.engine.report.page.markup import EMPTY, Markup, tag
from speedtui.engine.report.page.tables import cells, section, table
from speedtui.engine.report.summary import best_lines
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.study import PLAN
from speedtui.engine.units import format_count, format_seconds, format_share, format_size, format_span

HEAD = ("", "configuration", "status", "samples/s", "tokens/s", "step", "peak memory", "free", "full run")
NUMBERS = (True, False, False, True, True, True, True, True, True)


def study_section(state: RunState) -> Markup:
    """Every trial in a row, the best one in bold, and what follows from it."""
    study = state.study
    if study is None or not study.rows:
        return EMPTY
    rows = [
        cells(_trial(row), numbers=NUMBERS, class_="best" if row.candidate.id == study.best else None)
        for row in study.rows
    ]
    finished = sum(row.status.finished for row in study.rows)
    planned = study.mode == PLAN
    note = f"{finished} of {len(study.rows)} candidates were tried, mode {study.mode}"
    if planned:
        note = f"{finished} of {len(study.rows)} profiles were tried; they train for other epochs and on other lengths"
    ended = f"; {study.finish_reason}" if study.finish_reason else ""
    return section(
        "Trials",
        table(HEAD, rows, numbers=NUMBERS),
        tag("pre", best_lines(state, study)) if finished and not planned else EMPTY,
        note=f"{note}{ended}.",
    )


def _trial(row: TrialRow) -> list[str]:
    result = row.result
    measured = result.measurement if result is not None else None
    memory = result.memory if result is not None else None
    return [
        f"#{row.candidate.id}",
        row.candidate.label,
        _status(row, result),
        format_count(measured.samples_per_second if measured else None),
        format_count(measured.tokens_per_second if measured else None),
        format_seconds(measured.step_seconds if measured else None),
        format_size(memory.peak_bytes if memory else None),
        format_share(memory.headroom_fraction if memory else None),
        format_span(result.full_run_seconds if result else None),
    ]


def _status(row: TrialRow, result: TrialResult | None) -> str:
    status = row.status.value.replace("_", " ")
    return f"{status}: {result.reason}" if result is not None and result.reason else status
