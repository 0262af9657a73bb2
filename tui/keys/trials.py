"""The Trials: candidates and their results."""

from __future__ import annotations

from functools import partial

from speedtui.engine.candidate import TrialStatus
from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import has_trials, selected, some_without_result, stoppable, study_open

SORT = "sort by column, reverse"
PAGE = "a page up, down"


def trial_runs(now: Situation) -> bool:
    """A trial is in progress, and somebody follows commands."""
    return study_open(now) and now.study.study is not None and now.study.study.running is not None


def measured_well(now: Situation) -> bool:
    """The trial under the cursor was measured and fits the device, whether its study is over or not."""
    return now.selected is not None and now.selected.status is TrialStatus.OK


key = partial(Key, scope="trials")

TRIALS = (
    key("trials.add", "a", "add", "add a candidate", label="add", allowed=study_open, live=True),
    key("trials.grid", "A", "grid", "add a grid of candidates", label="grid", allowed=study_open, live=True),
    key("trials.duplicate", "d", "duplicate", "duplicate and edit the copy", label="duplicate", short="dup",
        allowed=selected(), live=True),
    key("trials.edit", "enter", "edit", "edit one without a result", label="edit",
        allowed=selected(running=False, result=False), live=True),
    key("trials.run", "r", "run_trial", "run it, or run it again", label="run", allowed=selected(running=False),
        live=True),
    key("trials.run_all", "R", "run_all", "run all without a result", label="run all", short="all",
        allowed=some_without_result, live=True),
    key("trials.stop", "x", "stop_trial", "stop it, or unqueue it", label="stop", allowed=stoppable, live=True),
    key("trials.kill", "K", "kill", "kill a hanging trial (asks)", label="kill", allowed=trial_runs, live=True),
    key("trials.delete", "D", "delete", "delete it (asks)", label="delete", short="del",
        allowed=selected(running=False), live=True),
    key("trials.undo", "u", "undo_delete", "undo the last delete", allowed=study_open),
    key("trials.promote", "P", "promote", "promote: train, or profile", label="promote", allowed=measured_well),
    key("trials.mark", "space", "mark_trial", "mark it, or unmark it", label="mark", allowed=has_trials),
    key("trials.compare", "m", "compare", "compare the marked, or best", label="compare", allowed=has_trials),
    key("trials.sort", "o", "sort", "sort by the next column", label="sort", together=SORT, allowed=has_trials),
    key("trials.reverse", "O", "reverse", "reverse the order", together=SORT, allowed=has_trials),
    key("trials.copy", "y", "app.copy", "copy the training command", label="copy cmd", short="copy",
        allowed=has_trials),
    key("trials.export", "w", "export", "write trials.csv and .json", label="export", allowed=has_trials),
    key("trials.page_up", "pageup", "page(-1)", "a page up", together=PAGE, allowed=has_trials),
    key("trials.page_down", "pagedown", "page(1)", "a page down", together=PAGE, allowed=has_trials),
)  # fmt: skip
