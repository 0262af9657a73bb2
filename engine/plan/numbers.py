"""Tokens over throughput (requirement B3): the time of a run of which only numbers are known."""

from __future__ import annotations

import math
from numbers import Real
from typing import Literal

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.errors import UsageError
from speedtui.engine.profile.profile import UNMEASURED_SHARE, Profile
from speedtui.engine.schedule.steps import counts_of
from speedtui.engine.timing.verdict import judge_ended

HOUR = 3600.0

RateSource = Literal["given", "history", "stated"]
"""Said by the caller, measured in earlier runs, or the profile's baseline."""


class TimeEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """How long the training steps take, without evaluating, loading and saving."""

    hours: float
    """total_tokens / tokens_per_second / 3600."""
    total_tokens: float
    """Rows x mean tokens x epochs, less what was given up."""
    total_steps: int
    """Optimizer steps, counted as transformers counts them."""
    tokens_per_second: float
    fits_in_window: bool
    """`hours` leave the margin."""
    spare_hours: float
    """To the latest safe finish; negative where it is later."""
    source: RateSource
    basis: str
    """The source in words."""
    cautious_hours: float
    """At 0.7 of a throughput that was only stated; otherwise the same as `hours`."""
    fits_cautiously: bool
    """`cautious_hours` leave the margin."""


class OptimizeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked, every number checked."""

    rows: int
    mean_tokens: float
    epochs: float | None
    max_hours: float
    margin_hours: float
    tokens_per_second: float | None
    history: dict[str, float]
    """Measured tokens a second by profile's name."""

    @property
    def window(self) -> Window:
        """For a run that begins at 0."""
        return Window(deadline=self.max_hours * HOUR, margin_seconds=self.margin_hours * HOUR)

    def fits(self, seconds: float) -> bool:
        """Whether a run of so many seconds leaves the margin."""
        return judge_ended(seconds, self.window) == "on_track"


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A throughput and where it comes from."""

    tokens_per_second: float
    source: RateSource
    basis: str


def throughput(profile: Profile, request: OptimizeRequest) -> Rate:
    """The one given, else the one measured, else the one that the profile states, as it stands.

    Raises:
        UsageError: there is none.
    """
    given, measured = request.tokens_per_second, request.history.get(profile.name)
    if given is not None:
        return Rate(tokens_per_second=given, source="given", basis=f"{given:,.10g} tokens/s as given")
    if measured is not None:
        basis = f"{measured:,.10g} tokens/s measured in earlier runs"
        return Rate(tokens_per_second=measured, source="history", basis=basis)
    stated = profile.baseline.tokens_per_second
    if stated is None:
        raise UsageError(
            f"profile {profile.name} states no tokens per second, and none were measured",
            "Give tokens_per_second, or write it under [baseline] in the profile.",
        )
    device = f" on {profile.baseline.device}" if profile.baseline.device else ""
    basis = f"the profile's stated {stated:,.10g} tokens/s{device}, not measured"
    return Rate(tokens_per_second=stated, source="stated", basis=basis)


def time_of(settings: Settings, request: OptimizeRequest, rate: Rate) -> TimeEstimate:
    """The training steps of these settings; a sample counts up to the maximum length."""
    counts = counts_of(settings, request.rows)
    total = request.rows * min(request.mean_tokens, settings.data.max_length) * trained_epochs(settings, request.rows)
    hours = total / rate.tokens_per_second / HOUR
    cautious = hours / UNMEASURED_SHARE if rate.source == "stated" else hours
    return TimeEstimate(
        hours=hours,
        total_tokens=total,
        total_steps=counts.total_steps,
        tokens_per_second=rate.tokens_per_second,
        fits_in_window=request.fits(hours * HOUR),
        spare_hours=request.window.safe_until / HOUR - hours,
        source=rate.source,
        basis=rate.basis,
        cautious_hours=cautious,
        fits_cautiously=request.fits(cautious * HOUR),
    )


def as_estimate(time: TimeEstimate) -> Estimate:
    """The same as a run of steps alone, known to the second."""
    seconds = time.hours * HOUR
    return Estimate(
        p50_seconds=seconds, p90_seconds=seconds, terms={"steps": seconds}, total_steps=time.total_steps,
        evals=0, saves=0, source="model",
    )  # fmt: skip


def trained_epochs(settings: Settings, rows: int) -> float:
    """The epochs, or what a number of steps comes to: 0.4 for two fifths of one."""
    counts = counts_of(settings, rows)
    return settings.train.epochs if settings.train.max_steps is None else counts.total_steps / counts.epoch_steps


def whole(name: str, value: object) -> int:
    """A whole number above zero.

    Raises:
        UsageError: it is none.
    """
    number = above_zero(name, value)
    if number % 1:
        raise UsageError(f"{name}: expected a whole number, got {number:g}")
    return int(number)


def above_zero(name: str, value: object) -> float:
    """A finite number above zero.

    Raises:
        UsageError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise UsageError(f"{name}: expected a number, got {value!r}")
    number = float(value)
    if not 0 < number < math.inf:
        raise UsageError(f"{name} must be above zero and finite, got {number:g}")
    return number


def margin(margin_hours: object, max_hours: float) -> float:
    """The margin in hours, 0 for none.

    Raises:
        UsageError: it is no number, or leaves nothing of the window.
    """
    hours = 0.0 if margin_hours == 0 and margin_hours is not False else above_zero("margin_hours", margin_hours)
    if hours >= max_hours:
        raise UsageError(
            f"margin_hours of {hours:g} leaves nothing of max_hours of {max_hours:g}",
            "Give a longer window or a smaller margin.",
        )
    return hours
