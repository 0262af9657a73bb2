"""The Trials: candidates and their results."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import promotable, selected, some_without_result, stoppable, study_open

TRIALS = (
    Key(id="trials.add", keys="a", shown="a", action="add", label="add", scope="trials", allowed=study_open,
        help="add a candidate"),
    Key(id="trials.duplicate", keys="d", shown="d", action="duplicate", label="duplicate", scope="trials",
        allowed=selected(), help="duplicate the candidate and edit the copy"),
    Key(id="trials.edit", keys="enter", shown="enter", action="edit", label="edit", scope="trials",
        allowed=selected(running=False, result=False), help="edit a candidate without a result"),
    Key(id="trials.run", keys="r", shown="r", action="run_trial", label="run", scope="trials",
        allowed=selected(running=False), help="run it, again if it has a result"),
    Key(id="trials.run_all", keys="R", shown="R", action="run_all", label="run all", scope="trials",
        allowed=some_without_result, help="run every candidate without a result"),
    Key(id="trials.stop", keys="x", shown="x", action="stop_trial", label="stop", scope="trials",
        allowed=stoppable, help="stop the trial, or take it out of the queue"),
    Key(id="trials.delete", keys="D", shown="D", action="delete", label="delete", scope="trials",
        allowed=selected(running=False), help="delete the candidate and its result (asks)"),
    Key(id="trials.promote", keys="P", shown="P", action="promote", label="promote", scope="trials",
        allowed=promotable, help="promote it to the next training, or save it as a profile"),
)  # fmt: skip
