"""The time there is: a length or a deadline, less a margin, as points on the wall clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from speedtui.engine.config.parse_time import read_moment
from speedtui.engine.config.settings import WindowSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.units import format_span, parse_duration

JOB_END = "SLURM_JOB_END_TIME"
"""Seconds since the epoch at which Slurm ends the job; set by it in the job's environment."""
JOB_MARGIN_SECONDS = 60.0
"""Kept before that at least: Slurm counts from its own clock, and steps end a little before the job."""

JOB_SECONDS_MOST = 10 * 366 * 86400.0
"""Ten years: Slurm gives a job without a limit one; a time beyond that is none, and some are no date at all."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Wall-clock times in seconds since the epoch."""

    deadline: float
    margin_seconds: float
    source: str = ""
    """What set the deadline where the settings did not: `SLURM_JOB_END_TIME`."""
    note: str = ""
    """How the deadline was read, where that is not plain: clocks that are changed on its day, another zone."""

    @property
    def safe_until(self) -> float:
        """The latest finish that leaves the margin."""
        return self.deadline - self.margin_seconds


def resolve_window(
    settings: WindowSettings, now: datetime, where: str, environment: Mapping[str, str] | None = None
) -> Window | None:
    """The window as it stands at `now`, whose zone is the local one; None where there is none.

    A deadline is the clock of its own day, whatever is changed before it; a clock time alone means its next occurrence.
    Where `environment` says when a Slurm job ends, the window ends then at the latest.

    Raises:
        ConfigError: both a length and a deadline, an unreadable one, one in the past, or a margin
            that leaves nothing.
    """
    margin = _margin(settings, where)
    window = _written(settings, margin, now, where)
    return _within_job(window, margin, now, environment or {})


def _within_job(window: Window | None, margin: float, now: datetime, environment: Mapping[str, str]) -> Window | None:
    """The earlier of the window and the end of the Slurm job."""
    text = environment.get(JOB_END, "")
    if not text.isdecimal() or not 0 < float(text) - now.timestamp() < JOB_SECONDS_MOST:
        return window
    job = Window(deadline=float(text), margin_seconds=max(margin, JOB_MARGIN_SECONDS), source=JOB_END)
    return job if window is None or job.safe_until < window.safe_until else window


def _margin(settings: WindowSettings, where: str) -> float:
    return _duration(settings.margin, "window.margin", where) if settings.margin not in ("0s", "0") else 0.0


def _written(settings: WindowSettings, margin: float, now: datetime, where: str) -> Window | None:
    if settings.length and settings.deadline:
        raise ConfigError(f"{where}: window.length and window.deadline exclude each other", "Keep one of them.")
    if settings.length:
        seconds, note = _duration(settings.length, "window.length", where), ""
    elif settings.deadline:
        seconds, note = _until(settings.deadline, now, where)
    else:
        return None
    if margin >= seconds:
        raise ConfigError(
            f"{where}: window.margin of {format_span(margin)} leaves nothing of a window of {format_span(seconds)}",
            "Shorten the margin or lengthen the window.",
        )
    return Window(deadline=now.timestamp() + seconds, margin_seconds=margin, note=note)


def _duration(text: str, path: str, where: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {path}: {error}") from None


def _until(text: str, now: datetime, where: str) -> tuple[float, str]:
    """Seconds from now to the deadline that was typed, and what there is to say of it."""
    try:
        at, note = read_moment(text, now)
    except ValueError as error:
        raise ConfigError(f"{where}: window.deadline: {error}") from None
    seconds = at.timestamp() - now.timestamp()
    if seconds <= 0:
        raise ConfigError(f"{where}: window.deadline {text} is in the past", "Give a later one.")
    return seconds, note
