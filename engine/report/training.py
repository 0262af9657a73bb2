"""report.json and report.html in the run's folder, made from its event log."""

from __future__ import annotations

import msgspec

from speedtui.engine.context.order import read_order
from speedtui.engine.files import write_whole
from speedtui.engine.log.read import read_state
from speedtui.engine.report.compose import RunExpectation, training_report
from speedtui.engine.report.document import training_document
from speedtui.engine.report.files import REPORT_NAME, Writers, write_each, write_json
from speedtui.engine.report.page.page import render_page
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState

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
