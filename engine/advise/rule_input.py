"""What the rules look at: a configuration, its estimate or its run, and what else was measured or computed."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan_types import Fit, FrequencyRow, Goal, ProfileRow, Saving
from speedtui.engine.schedule.count import Made
from speedtui.engine.timing.verdict import FITS, judge_ended


class MemoryOption(msgspec.Struct, frozen=True, kw_only=True):
    """Another configuration with the peak that it would have."""

    values: dict[str, Scalar]
    """Settings by path that differ from the configuration's."""
    peak_bytes: int
    """As expected on this device."""
    fits: bool
    seconds: float | None = None
    """P50 of the whole run; None where it is not known."""


class Actual(msgspec.Struct, frozen=True, kw_only=True):
    """What a run took."""

    seconds: float
    """From its start to the saved model, as its estimate counts."""
    phases: dict[str, float] = {}
    """Seconds by phase of the whole run."""
    made: Made | None = None
    """Its evaluations and checkpoints."""


class RuleInput(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that was planned, or that has run. What is not known is None or empty."""

    settings: Settings
    """Resolved: the row's values are in them."""
    row: ProfileRow
    now: float
    """Wall clock when it starts or started, seconds since the epoch."""
    window: Window | None = None
    actual: Actual | None = None
    alternatives: list[ProfileRow] = []
    """Other profiles, measured."""
    memory_options: list[MemoryOption] = []
    savings: list[Saving] = []
    frequencies: list[FrequencyRow] = []
    goals: list[Goal] = []
    padding_fraction: float | None = None
    """Share of the padded tokens that is padding."""
    step_phases: dict[str, float] = {}
    """Seconds of a mean step by phase."""
    cores: int | None = None
    """That the run's process may use."""

    @property
    def seconds(self) -> float | None:
        """What the run takes: measured, else P50."""
        if self.actual is not None:
            return self.actual.seconds
        return self.row.estimate.p50_seconds if self.row.estimate is not None else None

    @property
    def fit(self) -> Fit:
        """Against the window; for a run that is over by when it ended."""
        if self.actual is None or self.window is None:
            return self.row.fit
        return FITS[judge_ended(self.now + self.actual.seconds, self.window)]

    @property
    def over_seconds(self) -> float | None:
        """From the latest safe finish to the run's, at P90 where it has not run; negative where there is room."""
        if self.window is None or self.seconds is None:
            return None
        seconds = self.seconds
        if self.actual is None and self.row.estimate is not None:
            seconds = self.row.estimate.p90_seconds
        return self.now + seconds - self.window.safe_until
