"""What one redraw shows."""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.state import RunState

SILENCE_STEP_SECONDS = 5.0
"""How often the seconds of a silent run are counted on."""
CLOCK_STEP_SECONDS = 60.0
"""The clock on the screen shows minutes."""

TimeRange = Literal["run", "10m", "1m"]
"""What charts over time show: the whole run, the last ten minutes, the last one."""
HISTORY_WORDS: dict[TimeRange, str] = {"run": "10 min", "10m": "10 min", "1m": "1 min"}
"""What sparklines show then; they go back ten minutes at most."""


class ReplayPosition(msgspec.Struct, frozen=True, kw_only=True):
    """Where in a recording the screen is."""

    t: float
    """On the run's clock, seconds."""
    end: float
    """Of the recording."""
    speed: float
    """Times the pace it went."""
    paused: bool


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot and how it is to be shown; panes draw from it and from nothing else."""

    run: RunState
    """The run in front: the Monitor's."""
    study: RunState
    """The run whose trials are listed; the same one until a training was started from a study."""
    clock: float
    """Wall clock, seconds since the epoch."""
    planning: RunState | None = None
    """A run that makes a plan for the Plan; None where the front run's own plan is shown."""
    plan_error: SpeedtuiError | None = None
    """Why no plan could be made."""
    rate_hz: float = 2.0
    slow_link: bool = False
    """Whether the rate is below the chosen one."""
    held_back_by: str = ""
    """Why it is: `slow link` or `traffic limit`."""
    kib_per_second: int | None = None
    """Sent to the terminal of late, rounded; None while not measured."""
    frozen: bool = False
    read_only: bool = False
    error: SpeedtuiError | None = None
    """Why the session could not go on."""
    note: str = ""
    """What the screen itself waits for, such as the end of a study before the training starts."""
    slow_panes: bool = True
    """Whether charts and devices are drawn this time."""
    unanswered: tuple[str, ...] = ()
    """Names of the commands that wait for the job's answer."""
    axis: TimeRange = "run"
    log: bool = False
    """Equal ratios of the loss are equally high in its chart."""
    runs: int = 1
    """How many are open on this screen."""
    at: int = 0
    """Which of them this is, from 0."""
    replay: ReplayPosition | None = None
    """None for a run that is followed as it goes."""
    catching_up: float | None = None
    """The share of the front run's log that was read, while a long one is read for the first time: what is shown is
    then a moment of the past."""
    silent_seconds: float = 0.0
    """Since the front run's last event."""
    every: bool = False
    """Draw all panes, whatever their pace: the first frame of a screen, or after a key."""

    @property
    def now(self) -> float:
        """The front run's wall clock now: of its last event, and on from there while it goes on without one. That of
        its own machine, whose deadline it is."""
        return self.run.now + (self.silent_seconds if self.run.status.busy else 0.0)

    @property
    def plan_run(self) -> RunState:
        """The run whose plan is on the Plan."""
        return self.planning if self.planning is not None else self.run

    @property
    def measuring(self) -> bool:
        """Whether a trial is being timed, so that the screen keeps quiet."""
        return self.study.study is not None and self.study.study.running is not None

    def differs_from(self, last: Frame | None) -> bool:
        """Whether anything on the screen can look different; where nothing does, nothing is drawn."""
        if last is None or self.run is not last.run or self.study is not last.study:
            return True
        if self.planning is not last.planning:
            return True
        if self.slow_panes and not (last.slow_panes or last.every):
            return True  # the slow panes have not seen this state yet
        return self._own_part() != last._own_part()

    def _own_part(self) -> tuple[object, ...]:
        """What changes without an event."""
        silent = int(self.silent_seconds / SILENCE_STEP_SECONDS) if self.run.status.busy else 0
        return (
            self.error, self.plan_error, self.note, self.slow_link, self.rate_hz, self.kib_per_second,
            self.unanswered, self.axis, self.log, self.runs, self.at, self.replay, self._share(),
            int(self.clock / CLOCK_STEP_SECONDS), silent,
        )  # fmt: skip

    def _share(self) -> int | None:
        """In per cent, as it is shown."""
        return None if self.catching_up is None else int(self.catching_up * 100)
