"""Settings as a log tells them: another version may have written them, or a disk have damaged them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from speedtui.engine.config.check import check_values
from speedtui.engine.config.paths import convert, with_values
from speedtui.engine.config.settings import Settings


def recorded_settings(config: Mapping[str, Any], where: str, values: Mapping[str, Any] | None = None) -> Settings:
    """A run's configuration with some settings laid over it, in which whatever is read later can be read.

    What a run needs besides is not asked for: this one was begun.

    Raises:
        ConfigError: a key that is no setting, or a value that this version cannot read.
    """
    settings = with_values(convert(config, where), values or {}, where)
    check_values(settings, where)
    return settings


def shareable(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it may leave this machine, in a page or with a tracker: the command that alerts are sent by
    holds addresses and tokens that let others send, too."""
    shared = dict(config)
    if isinstance(notify := config.get("notify"), Mapping) and notify.get("command"):
        shared["notify"] = {**notify, "command": "(set)"}
    return shared
