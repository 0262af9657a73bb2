"""What of a trial's or a plan's figures counts for a training: that which it measured with the settings that run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.same_steps import same_steps
from speedtui.engine.config.settings import (
    NotifySettings,
    Scalar,
    SearchSettings,
    Settings,
    TrackSettings,
    WindowSettings,
)
from speedtui.engine.context.order import Alternative
from speedtui.engine.errors import ConfigError


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured beforehand; nothing where it is of other settings."""

    estimate: Estimate | None = None
    """Of the whole run."""
    step_seconds: float | None = None
    alternatives: Sequence[Alternative] = ()
    """Other settings that would train the same numbers."""

    def that_count(self, measured: Settings | None, settings: Settings) -> Figures:
        """Those that hold for a training with `settings`; `measured`: what they were measured with, if that is known.

        The estimate is of the very run, however long its window is; a step is the same with another schedule, number
        of steps or evaluation set.
        """
        if measured is None or not same_steps(measured, settings):
            return Figures()
        return self if _run(measured) == _run(settings) else msgspec.structs.replace(self, estimate=None)


def settings_measured(config: Path, values: Mapping[str, Scalar]) -> Settings | None:
    """A run's configuration with a trial's values in it; None where it can no longer be read."""
    try:
        return with_values(load_settings(config), values, str(config))
    except ConfigError:
        return None


def laid_over_any(values: Mapping[str, Scalar], measured: Settings | None) -> dict[str, Any]:
    """Values by path as they are laid over another file: epochs take the place of a number of steps that it has."""
    counts_epochs = "train.epochs" in values and measured is not None and measured.train.max_steps is None
    return {**values, **({"train.max_steps": None} if counts_epochs else {})}


def in_force(values: Mapping[str, Scalar], settings: Settings) -> bool:
    """Whether all of these values are those that run."""
    return all(value_at(settings, path) == value for path, value in values.items())


def _run(settings: Settings) -> Settings:
    """The settings without what leaves a run as it is: its window, what a study tries, where it is shown."""
    return msgspec.structs.replace(
        settings, window=WindowSettings(), search=SearchSettings(), track=TrackSettings(), notify=NotifySettings()
    )
