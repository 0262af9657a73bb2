"""The Trials: candidates and their results."""

from __future__ import annotations

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


TRIALS = (
    Key(id="trials.add", keys="a", shown="a", action="add", label="add", scope="trials", allowed=study_open,
        live=True, help="add a candidate"),
    Key(id="trials.grid", keys="A", shown="A", action="grid", label="grid", scope="trials", allowed=study_open,
        live=True, help="add a grid of candidates"),
    Key(id="trials.duplicate", keys="d", shown="d", action="duplicate", label="duplicate", short="dup", scope="trials",
        allowed=selected(), live=True, help="duplicate and edit the copy"),
    Key(id="trials.edit", keys="enter", shown="enter", action="edit", label="edit", scope="trials",
        allowed=selected(running=False, result=False), live=True, help="edit one without a result"),
    Key(id="trials.run", keys="r", shown="r", action="run_trial", label="run", scope="trials",
        allowed=selected(running=False), live=True, help="run it, or run it again"),
    Key(id="trials.run_all", keys="R", shown="R", action="run_all", label="run all", short="all", scope="trials",
        allowed=some_without_result, live=True, help="run all without a result"),
    Key(id="trials.stop", keys="x", shown="x", action="stop_trial", label="stop", scope="trials",
        allowed=stoppable, live=True, help="stop it, or unqueue it"),
    Key(id="trials.kill", keys="K", shown="K", action="kill", label="kill", scope="trials",
        allowed=trial_runs, live=True, help="kill a hanging trial (asks)"),
    Key(id="trials.delete", keys="D", shown="D", action="delete", label="delete", short="del", scope="trials",
        allowed=selected(running=False), live=True, help="delete it (asks)"),
    Key(id="trials.undo", keys="u", shown="u", action="undo_delete", scope="trials",
        allowed=study_open, help="undo the last delete"),
    Key(id="trials.promote", keys="P", shown="P", action="promote", label="promote", scope="trials",
        allowed=measured_well, help="promote: train, or profile"),
    Key(id="trials.mark", keys="space", shown="space", action="mark_trial", label="mark", scope="trials",
        allowed=has_trials, help="mark it, or unmark it"),
    Key(id="trials.compare", keys="m", shown="m", action="compare", label="compare", scope="trials",
        allowed=has_trials, help="compare the marked, or best"),
    Key(id="trials.sort", keys="o", shown="o", action="sort", label="sort", scope="trials", together=SORT,
        allowed=has_trials, help="sort by the next column"),
    Key(id="trials.reverse", keys="O", shown="O", action="reverse", scope="trials", together=SORT,
        allowed=has_trials, help="reverse the order"),
    Key(id="trials.copy", keys="y", shown="y", action="app.copy", label="copy cmd", short="copy", scope="trials",
        allowed=has_trials, help="copy the training command"),
    Key(id="trials.export", keys="w", shown="w", action="export", label="export", scope="trials",
        allowed=has_trials, help="write trials.csv and .json"),
    Key(id="trials.page_up", keys="pageup", shown="pgup", action="page(-1)", scope="trials", together=PAGE,
        allowed=has_trials, help="a page up"),
    Key(id="trials.page_down", keys="pagedown", shown="pgdn", action="page(1)", scope="trials", together=PAGE,
        allowed=has_trials, help="a page down"),
)  # fmt: skip
