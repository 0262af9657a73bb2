"""Where what is exported goes when nobody says where."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from speedtui.engine.config.settings import Tracker
from speedtui.engine.runs import RunFolder

Target = Tracker | Literal["csv"]


def default_folder(run: RunFolder, target: Target) -> Path:
    """In the run's folder. wandb makes a folder `wandb` there by itself; trackio has one of its own for all runs."""
    return run.path if target in ("wandb", "trackio") else run.path / target
