"""The Monitor: the run as it goes on."""

from __future__ import annotations

from speedtui.engine.state import RunStatus
from speedtui.tui.keys.key import Key, Situation
from speedtui.tui.keys.situations import has_training, levers, training


def followed(now: Situation) -> bool:
    """Somebody writes the log and reads commands, whether anything runs or not."""
    return now.run.status not in (RunStatus.FINISHED, RunStatus.LOST) and not now.read_only


def pausable(now: Situation) -> bool:
    """A run that goes on, or a recording that plays."""
    return now.replaying or followed(now)


MONITOR = (
    Key(id="run.pause", keys="space", shown="space", action="app.pause", label="pause", paused_label="resume",
        scope="monitor", allowed=pausable, live=True, help="pause after a step, go on"),
    Key(id="monitor.evaluate", keys="e", shown="e", action="evaluate", label="evaluate", short="eval", scope="monitor",
        allowed=training, live=True, help="evaluate now"),
    Key(id="monitor.checkpoint", keys="c", shown="c", action="checkpoint", label="checkpoint", short="ckpt",
        scope="monitor", allowed=training, live=True, help="save a checkpoint now"),
    Key(id="monitor.schedule", keys="S", shown="S", action="schedule", label="schedule", scope="monitor",
        allowed=has_training, live=True, help="schedule: this run or next"),
    Key(id="monitor.levers", keys="l", shown="l", action="levers", label="levers", scope="monitor",
        allowed=levers, live=True, help="help for a late run (asks)"),
    Key(id="monitor.mark", keys="m", shown="m", action="mark", label="mark", scope="monitor", allowed=followed,
        live=True, help="mark this moment in the log"),
    Key(id="monitor.axis", keys="x", shown="x", action="axis", label="axis", scope="monitor",
        help="charts: run, 10 min, 1 min"),
    Key(id="monitor.log", keys="X", shown="X", action="log_axis", scope="monitor",
        help="loss: linear or log axis"),
    Key(id="monitor.zoom", keys="enter", shown="enter", action="zoom", scope="monitor",
        help="zoom the pane, as z"),
)  # fmt: skip
