"""The Monitor: the run as it goes on."""

from __future__ import annotations

from speedtui.tui.keys.key import Key
from speedtui.tui.keys.situations import has_training, levers, training

MONITOR = (
    Key(id="run.pause", keys="space", shown="space", action="app.pause", label="pause", paused_label="resume",
        scope="monitor", help="pause at the next step, or go on"),
    Key(id="monitor.evaluate", keys="e", shown="e", action="evaluate", label="evaluate", scope="monitor",
        allowed=training, help="evaluate now"),
    Key(id="monitor.checkpoint", keys="c", shown="c", action="checkpoint", label="checkpoint", scope="monitor",
        allowed=training, help="save a checkpoint now"),
    Key(id="monitor.schedule", keys="S", shown="S", action="schedule", label="schedule", scope="monitor",
        allowed=has_training, help="edit the schedule, of this run or the next"),
    Key(id="monitor.levers", keys="l", shown="l", action="levers", label="levers", scope="monitor",
        allowed=levers, help="what helps a late run, to be applied"),
)  # fmt: skip
