"""The settings of a run as they are now: its configuration with what its training has besides."""

from __future__ import annotations

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.log.tail import LineTail
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import StateReducer

_TELLING = (b'"settings_changed"', b'"training_started"', b'"training_finished"', b'"study_started"', b'"candidate_')
"""Of the events by which a training's settings come to be others than the configuration's."""


def present_settings(folder: RunFolder) -> Settings:
    """Reads the log once without decoding what does not change settings: a long one has millions of lines.

    Raises:
        ConfigError: the run's configuration cannot be read.
    """
    reducer = StateReducer()
    for lines in LineTail(folder.events).pieces():
        for line in lines:
            if any(mark in line for mark in _TELLING):
                _take(line, reducer)
    return with_values(load_settings(folder.config), reducer.snapshot().laid_over, folder.id)


def _take(line: bytes, reducer: StateReducer) -> None:
    try:
        event = e.decode(line)
    except ValueError:
        return  # damaged, or of another version
    if event is not None:
        reducer.apply(event)
