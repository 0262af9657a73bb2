"""Settings that may be changed while a training goes on, read from what a person typed or from a command."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import holds_text, resolve_path, value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.typed import split_setting, typed_value
from speedtui.engine.errors import ConfigError

LIVE_SETTINGS = (
    "schedule.eval_every", "schedule.fast_eval_every", "schedule.eval_share", "schedule.eval_batch_size",
    "schedule.generate", "schedule.beams", "schedule.max_new_tokens", "schedule.generation_batch_size",
    "schedule.metric", "schedule.metric_threads", "schedule.metric_timeout",
    "schedule.best_by", "schedule.patience", "schedule.save_only_best", "schedule.checkpoint_every",
    "schedule.keep_checkpoints", "schedule.lr_ends_at_deadline", "schedule.on_nonfinite",
    "train.micro_batch_size", "train.max_steps", "train.learning_rate",
)  # fmt: skip
"""By path; the others make another model or other data, which is another training."""
_SUCH_AS = "Such as eval_every=1200."


def parse_pairs(texts: Sequence[str], where: str) -> list[tuple[str, str]]:
    """(key, text of the value) of each `KEY=VALUE`; the value may be empty.

    Raises:
        ConfigError: there is none, one has no equals sign, or a key is empty.
    """
    if not texts:
        raise ConfigError(f"{where}: nothing to set", "Write KEY=VALUE, such as eval_every=1200.")
    return [split_setting(text, where, "KEY=VALUE", _SUCH_AS) for text in texts]


def live_values(
    pairs: Iterable[tuple[str, Scalar]], settings: Settings, where: str, *, folder: Path | None = None
) -> dict[str, Scalar]:
    """The settings by full path with values of their own types, checked together with all the others.

    `settings`: as they are now. A key is a path or its last part; a text is read as it would be in the configuration
    file. `folder`: what a metric's file counts from where it was typed without one.

    Raises:
        ConfigError: an unknown key, one that cannot be changed now, one given twice, a value of the wrong type or one
            that does not go with the rest.
    """
    values: dict[str, Scalar] = {}
    for key, given in pairs:
        path = resolve_path(key, where)
        if path not in LIVE_SETTINGS:
            raise ConfigError(f"{where}: {path} cannot be changed while a run goes on", _what_can())
        if path in values:
            raise ConfigError(f"{where}: {path} is set twice", "Keep one of them.")
        values[path] = _read(path, given, where, folder)
    changed = with_values(settings, values, where)
    check(changed, where)
    return {path: value_at(changed, path) for path in values}


def _read(path: str, given: Scalar, where: str, folder: Path | None) -> Scalar:
    if isinstance(given, bool | float):
        return given
    value = typed_value(path, str(given), where)
    if value is None and not holds_text(path):
        raise ConfigError(f"{where}: {path} has no value", "Only schedule.metric may be empty, which turns it off.")
    if path == "schedule.metric" and isinstance(value, str) and ":" in value and folder is not None:
        file, _, function = value.rpartition(":")
        value = f"{(folder / os.path.expanduser(file)).resolve()}:{function}"
    return "" if value is None else value


def _what_can() -> str:
    names = ", ".join(path.removeprefix("schedule.") for path in LIVE_SETTINGS)
    return f"What can be: {names}."
