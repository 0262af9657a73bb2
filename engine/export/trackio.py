"""trackio: a local database, or the server or Space that its own environment variables name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import trackio
import trackio.run
import trackio.utils

from speedtui.engine.export.base import TrackedRun
from speedtui.engine.export.metrics import MetricPoint

RUN_KEY = "speedtui_run"
"""In the configuration: names need not be unique there, so an export finds the run that it replaces by this."""


class TrackioSink:
    """One run there. A point is kept with the time at which it was written; the order of steps is the run's."""

    def __init__(self, run: TrackedRun) -> None:
        """Begins it; a live one that was begun by an earlier worker goes on, and an export takes its place.

        Raises:
            ValueError: the project cannot be called so.
            OSError: its folder cannot be written.
        """
        _silence()
        if not run.live:
            _remove(run)
        self._where = f"trackio show --project {run.project}"
        self._run: Any = trackio.init(
            project=run.project, name=run.name, config={**run.config, RUN_KEY: run.id}, embed=False,
            resume="allow" if run.resumed else "never", auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip

    @property
    def where(self) -> str:
        """The command that shows it."""
        return self._where

    def write(self, points: Sequence[MetricPoint]) -> None:
        """Hands them to its own thread."""
        for point in points:
            self._run.log(point.values, step=point.step)

    def close(self) -> None:
        """Waits for its thread, for half a minute at most."""
        self._run.finish()


def _remove(run: TrackedRun) -> None:
    """What was told of this run before, in the local database."""
    try:
        known = list(trackio.Api().runs(run.project))
    except ValueError:  # there is no such project yet
        return
    for earlier in known:
        if (earlier.config or {}).get(RUN_KEY) == run.id:
            earlier.delete()


def _silence() -> None:
    """It prints where its data is; stdout may be an event stream or a screen."""
    for module in (trackio, trackio.run, trackio.utils):
        vars(module)["print"] = lambda *args, **kwargs: None
