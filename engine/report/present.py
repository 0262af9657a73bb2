"""The settings of a run as they are now: its configuration with what commands changed since."""

from __future__ import annotations

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.log.tail import LineTail
from speedtui.engine.runs import RunFolder

_MARK = b'"settings_changed"'


def present_settings(folder: RunFolder) -> Settings:
    """Reads the log once without decoding what does not change settings: a long one has millions of lines.

    Raises:
        ConfigError: the run's configuration cannot be read.
    """
    return with_values(load_settings(folder.config), changed_settings(folder), folder.id)


def changed_settings(folder: RunFolder) -> dict[str, Scalar]:
    """What commands changed in a run, by path."""
    tail, changed = LineTail(folder.events), dict[str, Scalar]()
    for lines in tail.pieces():
        for line in lines:
            if _MARK in line:
                changed.update(_values(line))
    return changed


def _values(line: bytes) -> dict[str, Scalar]:
    try:
        event = e.decode(line)
    except ValueError:
        return {}
    return event.values if isinstance(event, e.SettingsChanged) else {}
