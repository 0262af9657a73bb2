"""What one redraw shows."""

from __future__ import annotations

import msgspec

from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.state import RunState


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot and how it is to be shown; panes draw from it and from nothing else."""

    run: RunState
    """The run in front: the Monitor's."""
    study: RunState
    """The run whose trials are listed; the same one until a training was started from a study."""
    clock: float
    """Wall clock, seconds since the epoch."""
    rate_hz: float = 2.0
    slow_link: bool = False
    frozen: bool = False
    read_only: bool = False
    error: SpeedtuiError | None = None
    """Why the session could not go on."""
    note: str = ""
    """What the screen itself waits for, such as the end of a study before the training starts."""
    slow_panes: bool = True
    """Whether charts and devices are drawn this time."""
    every: bool = False
    """Draw all panes, whatever their pace: the first frame of a screen, or after a key."""

    @property
    def measuring(self) -> bool:
        """Whether a trial is being timed, so that the screen keeps quiet."""
        return self.study.study is not None and self.study.study.running is not None
