"""A study's trials, where the run made some."""

from __future__ import annotations

from speedtui.engine.report.page.markup import EMPTY, Markup, cells, section, table, tag
from speedtui.engine.report.summary import best_lines, figure_cells
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.study import PLAN

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
        tag("pre", best_lines(study)) if finished and not planned else EMPTY,
        note=f"{note}{ended}.",
    )


def _trial(row: TrialRow) -> list[str]:
    result = row.result
    status = row.status.value.replace("_", " ")
    told = f"{status}: {result.reason}" if result is not None and result.reason else status
    return [f"#{row.candidate.id}", row.candidate.label, told, *figure_cells(result)]
