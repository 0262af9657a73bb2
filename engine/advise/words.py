"""Changes of settings as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.plan_types import FrequencyRow
from speedtui.engine.units import format_span, plural

MICRO_BATCH = "train.micro_batch_size"


def change_words(settings: Settings, values: Mapping[str, Scalar]) -> str:
    """Such as `train.micro_batch_size 8 → 4 (accumulation 2 → 4, the effective batch stays 16)`.

    A value that the configuration has already is left out.
    """
    changed = {path: value for path, value in values.items() if value_at(settings, path) != value}
    words = [
        f"{path} {value_words(value_at(settings, path))} → {value_words(value)}" for path, value in changed.items()
    ]
    effective = settings.train.effective_batch_size
    micro = changed.get(MICRO_BATCH)
    if isinstance(micro, int) and "train.effective_batch_size" not in changed:
        accumulation = f"accumulation {effective // settings.train.micro_batch_size} → {effective // micro}"
        words[list(changed).index(MICRO_BATCH)] += f" ({accumulation}, the effective batch stays {effective})"
    return ", ".join(words)


def frequency_words(row: FrequencyRow, settings: Settings) -> str:
    """Such as `evaluate every 3 epochs instead of every 1 epoch`."""
    verb, before = (
        ("evaluate", settings.schedule.eval_every)
        if row.what == "eval"
        else ("save a checkpoint", settings.schedule.checkpoint_every)
    )
    if row.every_steps is None:
        return "do not evaluate" if row.what == "eval" else "save the final model only"
    after = "only at the end" if row.what == "eval" and row.count == 1 else f"every {row.every}"
    return f"{verb} {after} instead of every {before}" if before != "never" else f"{verb} {after}"


def age_words(seconds: float) -> str:
    """`2 days`, `1 day`, `5 hours`; below an hour as a span."""
    for unit, length in (("day", 86400), ("hour", 3600)):
        count = int(seconds // length)
        if count:
            return plural(count, unit)
    return format_span(seconds)


def value_words(value: object) -> str:
    """A setting's value; `3` for 3.0."""
    if value is None:
        return "unset"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if isinstance(value, bool) else str(value)
