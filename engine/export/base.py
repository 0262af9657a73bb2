"""What every tracker offers, and what it is told of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from speedtui.engine.config.settings import Tracker
from speedtui.engine.errors import UsageError
from speedtui.engine.export.metrics import MetricPoint
from speedtui.engine.runs import RunFolder

INSTALL_HINT = "Install it: pip install 'speedtui[trackers]'"


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run as a tracker shows it."""

    id: str
    """The run's id, by which a tracker knows it again."""
    name: str
    project: str
    config: dict[str, Any]
    """The resolved configuration."""
    folder: Path
    """Where a tracker that writes files puts them."""
    live: bool
    """It is going on; otherwise it is told after the fact, and takes the place of what was told before."""
    resumed: bool = False
    """An earlier worker of it was tracked."""


class MetricSink(Protocol):
    """Takes the numbers of one run. Used by one thread; any call may wait for a disk or a network, and may raise."""

    @property
    def where(self) -> str:
        """Where a person finds what was written."""

    def write(self, points: Sequence[MetricPoint]) -> None:
        """Takes in points, in the order of their steps."""

    def close(self) -> None:
        """Hands over the rest; nothing may be written after it."""


class TrackerMissing(UsageError):
    """The tracker's package is not installed."""

    def __init__(self, tracker: Tracker, error: ImportError) -> None:
        missing = "is not installed" if error.name == tracker else f"cannot be imported: {error}"
        super().__init__(f"{tracker} {missing}", INSTALL_HINT)


Target = Tracker | Literal["csv"]


def default_folder(run: RunFolder, target: Target) -> Path:
    """In the run's folder. wandb makes a folder `wandb` there by itself; trackio has one of its own for all runs."""
    return run.path if target in ("wandb", "trackio") else run.path / target
