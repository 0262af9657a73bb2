"""The time there is: a length or a deadline, less a margin, as points on the wall clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from speedtui.engine.config.settings import WindowSettings
from speedtui.engine.errors import ConfigError
from speedtui.engine.units import format_span, parse_duration


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Wall-clock times in seconds since the epoch."""

    deadline: float
    margin_seconds: float

    @property
    def safe_until(self) -> float:
        """The latest finish that leaves the margin."""
        return self.deadline - self.margin_seconds


def resolve_window(settings: WindowSettings, now: datetime, where: str) -> Window | None:
    """The window as it stands at `now` (local time); None where the user gave none.

    A clock time alone means its next occurrence.

    Raises:
        ConfigError: both a length and a deadline, an unreadable one, one in the past, or a margin
            that leaves nothing.
    """
    if settings.length and settings.deadline:
        raise ConfigError(f"{where}: window.length and window.deadline exclude each other", "Keep one of them.")
    margin = _duration(settings.margin, "window.margin", where) if settings.margin not in ("0s", "0") else 0.0
    if settings.length:
        seconds = _duration(settings.length, "window.length", where)
        deadline = now + timedelta(seconds=seconds)
    elif settings.deadline:
        deadline = _deadline(settings.deadline, now, where)
        seconds = (deadline - now).total_seconds()
    else:
        return None
    if margin >= seconds:
        raise ConfigError(
            f"{where}: window.margin of {format_span(margin)} leaves nothing of a window of {format_span(seconds)}",
            "Shorten the margin or lengthen the window.",
        )
    return Window(deadline=deadline.timestamp(), margin_seconds=margin)


def _duration(text: str, path: str, where: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ConfigError(f"{where}: {path}: {error}") from None


def _deadline(text: str, now: datetime, where: str) -> datetime:
    try:
        clock = datetime.strptime(text.strip(), "%H:%M")
    except ValueError:
        pass
    else:
        today = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
        return today if today > now else today + timedelta(days=1)
    try:
        deadline = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"{where}: window.deadline: expected 18:40 or 2026-05-01 18:40, got {text!r}") from None
    deadline = deadline.astimezone(now.tzinfo) if deadline.tzinfo else deadline.replace(tzinfo=now.tzinfo)
    if deadline <= now:
        raise ConfigError(f"{where}: window.deadline {text} is in the past", "Give a later one.")
    return deadline
