"""Whether two runs' steps are the same ones, whatever else is done beside them and however many there are."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.settings import (
    DataSettings,
    NotifySettings,
    ScheduleSettings,
    SearchSettings,
    Settings,
    TrackSettings,
    WindowSettings,
)

BESIDES = ("window.", "schedule.", "search.", "track.", "notify.", "train.epochs", "train.max_steps",
           "train.lr_warmup_steps", "data.eval")  # fmt: skip
"""Beginnings of the settings that leave each step as it is; `data.eval` is that of `data.eval_rows`, too."""


def keeps_steps(path: str) -> bool:
    """Whether a setting leaves each step as it is."""
    return path.startswith(BESIDES)


def same_steps(one: Settings, other: Settings) -> bool:
    """Whether each step takes as long in both."""
    return _step_key(one) == _step_key(other)


def _step_key(settings: Settings) -> bytes:
    """Equal where the steps are: everything but how many there are, what is done besides and where it is shown."""
    data = msgspec.structs.replace(settings.data, eval=DataSettings().eval, eval_rows=None)
    train = msgspec.structs.replace(settings.train, epochs=1.0, max_steps=None, lr_warmup_steps=0)
    plain = msgspec.structs.replace(
        settings, data=data, train=train, window=WindowSettings(), schedule=ScheduleSettings(),
        search=SearchSettings(), track=TrackSettings(), notify=NotifySettings(),
    )  # fmt: skip
    return msgspec.json.encode(plain)
