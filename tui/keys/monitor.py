"""The Monitor: the run as it goes on."""

from __future__ import annotations

from functools import partial

from speedtui.engine.state import RunStatus
from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import has_training, levers, training


def followed(now: Situation) -> bool:
    """Somebody writes the log and reads commands, whether anything runs or not."""
    return now.run.status not in (RunStatus.FINISHED, RunStatus.LOST) and not now.read_only


def pausable(now: Situation) -> bool:
    """A run that goes on, or a recording that plays."""
    return now.replaying or followed(now)


key = partial(Key, scope="monitor")

MONITOR = (
    key("run.pause", "space", "app.pause", "pause after a step, go on", label="pause", paused_label="resume",
        allowed=pausable, live=True),
    key("monitor.evaluate", "e", "evaluate", "evaluate now", label="evaluate", short="eval", allowed=training,
        live=True),
    key("monitor.checkpoint", "c", "checkpoint", "save a checkpoint now", label="checkpoint", short="ckpt",
        allowed=training, live=True),
    key("monitor.schedule", "S", "schedule", "schedule: this run or next", label="schedule", allowed=has_training,
        live=True),
    key("monitor.levers", "l", "levers", "help for a late run (asks)", label="levers", allowed=levers, live=True),
    key("monitor.mark", "m", "mark", "mark this moment in the log", label="mark", allowed=followed, live=True),
    key("monitor.axis", "x", "axis", "charts: run, 10 min, 1 min", label="axis"),
    key("monitor.log", "X", "log_axis", "loss: linear or log axis"),
    key("monitor.zoom", "enter", "zoom", "zoom the pane, as z"),
)  # fmt: skip
