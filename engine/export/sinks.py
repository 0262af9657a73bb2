"""Which trackers there are; each one's package is imported when it is opened."""

from __future__ import annotations

import sys
from typing import assert_never

from speedtui.engine.config.settings import Tracker
from speedtui.engine.export.base import MetricSink, TrackedRun, TrackerMissing


def open_sink(tracker: Tracker, run: TrackedRun) -> MetricSink:
    """Begins, goes on with or replaces the run there.

    Raises:
        TrackerMissing: its package is not installed.
        Exception: whatever the tracker raises, for a disk, a network or an account.
    """
    try:
        match tracker:
            case "tensorboard":
                from speedtui.engine.export.tensorboard import TensorBoardSink

                return TensorBoardSink(run)
            case "wandb":
                from speedtui.engine.export.wandb import WandbSink

                return WandbSink(run)
            case "trackio":
                from speedtui.engine.export.trackio import TrackioSink

                return TrackioSink(run)
    except ImportError as error:
        raise TrackerMissing(tracker, error) from None
    assert_never(tracker)


def let_go(tracker: Tracker) -> None:
    """Has a tracker that failed or hangs not hold up the end of this process."""
    if tracker == "wandb" and "wandb" in sys.modules:
        from speedtui.engine.export import wandb

        wandb.let_go()
