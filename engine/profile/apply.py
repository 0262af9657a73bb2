"""A profile's settings laid over a run's configuration."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from speedtui.engine.config.batch import largest_divisor
from speedtui.engine.config.paths import setting_paths, value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.profile import (
    EFFECTIVE_BATCH,
    EPOCHS,
    MAX_LENGTH,
    MAX_STEPS,
    MICRO_BATCH,
    Profile,
    flat_settings,
    with_line,
)

RANK = "train.lora.r"
QUANTIZE = "model.quantize"
NOT_FOR_RECIPES = ("data.", "model.", "train.gradient_checkpointing", "train.group_by_length")
"""A recipe brings its own samples and model; its model may not know of checkpointing."""


class Applied(NamedTuple):
    """The configuration with a profile in it."""

    settings: Settings
    changes: list[Change]
    """Every setting that is another one now, the batch first."""


def apply_profile(
    settings: Settings, profile: Profile, written: Collection[str] = (), longest_tokens: int | None = None
) -> Applied:
    """Lays the profile's settings over the configuration; those that do not apply to it are left out.

    An effective batch that the user's file names (a path in `written`) is never changed; the micro-batch is then
    the largest divisor of it up to the profile's. `longest_tokens` is the longest sample before any cutting: a
    maximum length that cuts no more and no less than the present one is no change.
    """
    reasons = dict.fromkeys(profile.values, f"profile {profile.name}")
    values = {path: value for path, value in profile.values.items() if _applies(path, profile, settings)}
    values = {**_batch(settings, profile, written, reasons), **values_without_batch(values)}
    if _same_cut(settings, values.get(MAX_LENGTH), longest_tokens):
        values.pop(MAX_LENGTH, None)
    changed = {path: value for path, value in values.items() if value_at(settings, path) != value}
    changes = [
        Change(
            path=path,
            before=_scalar(value_at(settings, path)),
            after=value,
            reason=reasons[path],
            gives_up=_gives_up(path, value_at(settings, path), value),
        )
        for path, value in changed.items()
    ]
    return Applied(with_values(settings, changed, f"profile {profile.name}"), changes)


def values_of(applied: Settings, settings: Settings) -> dict[str, Scalar]:
    """The settings that make `settings` into `applied`, by path; one that is unset there is left out."""
    paths = [*setting_paths(), *(f"recipe.{name}" for name in applied.recipe)]
    pairs = ((path, value_at(applied, path)) for path in paths if value_at(applied, path) != value_at(settings, path))
    return {path: value for path, value in pairs if isinstance(value, (bool, int, float, str))}


def written_paths(path: Path) -> frozenset[str]:
    """The settings that a speedtui.toml names, by path.

    Raises:
        ConfigError: the file cannot be read as TOML.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        tree = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "Name another file with --config.") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: not UTF-8 text", "Save it as UTF-8.") from None
    except (ValueError, RecursionError) as error:  # also of thousands of digits or brackets
        raise ConfigError(f"{path}: not TOML: {with_line(error, text)}", "Correct that line.") from None
    return frozenset(name for name, _ in flat_settings(tree))


def values_without_batch(values: dict[str, Scalar]) -> dict[str, Scalar]:
    """All but the two batch sizes."""
    return {path: value for path, value in values.items() if path not in (MICRO_BATCH, EFFECTIVE_BATCH)}


def _applies(path: str, profile: Profile, settings: Settings) -> bool:
    """Whether the setting does anything in this kind of run."""
    method = profile.values.get("train.method", settings.train.method)
    kind = settings.model.kind
    if settings.model.quantize != "none" and profile.values.get(QUANTIZE) != "none":
        method = settings.train.method  # quantized weights carry adapters and nothing else
    if path == "train.method":
        return profile.values[path] == method
    if path == QUANTIZE:
        return kind != "python" and (method == "lora" or profile.values[path] == "none")
    if path.startswith("train.lora."):
        return method == "lora"
    if path.startswith("recipe."):
        return kind == "python"
    if path == "data.packing":
        return kind == "causal-lm"
    if path == EPOCHS:  # train.max_steps overrides them
        return settings.train.max_steps is None and MAX_STEPS not in profile.values
    return kind != "python" or not path.startswith(NOT_FOR_RECIPES)


def _batch(
    settings: Settings, profile: Profile, written: Collection[str], reasons: dict[str, str]
) -> dict[str, Scalar]:  # fmt: skip
    """The two batch sizes, of which the micro-batch divides the effective one."""
    train = settings.train
    effective = train.effective_batch_size
    asked = int(profile.values.get(EFFECTIVE_BATCH, effective))
    kept = EFFECTIVE_BATCH in written
    if not kept:
        effective = asked
    wanted = int(profile.values.get(MICRO_BATCH, train.micro_batch_size))
    micro = largest_divisor(effective, wanted)
    reasons.setdefault(MICRO_BATCH, f"profile {profile.name}")
    if micro != wanted:
        whose = "your effective batch" if kept else "the effective batch"
        reasons[MICRO_BATCH] += f": the largest micro-batch up to its {wanted} that divides {whose} of {effective}"
    return {EFFECTIVE_BATCH: effective, MICRO_BATCH: micro}


def _same_cut(settings: Settings, max_length: Scalar | None, longest_tokens: int | None) -> bool:
    """Whether the length leaves every sample as long as it is now; in a pack the length is what is filled."""
    if max_length is None or longest_tokens is None or settings.data.packing:
        return False
    return min(longest_tokens, int(max_length)) == min(longest_tokens, settings.data.max_length)


def _gives_up(path: str, before: Any, after: Scalar) -> str:
    """What a smaller figure costs; empty for the settings of which smaller is not worse."""
    if isinstance(after, str) or not isinstance(before, (int, float)) or after >= before:
        return ""
    if path == MAX_LENGTH:
        return f"what a sample has beyond {after:,} tokens"
    if path in (EPOCHS, MAX_STEPS):
        return f"{before - after:g} of {before:g} {'epochs' if path == EPOCHS else 'steps'}"
    if path == RANK:
        return f"an adapter of rank {before}"
    return ""


def _scalar(value: Any) -> Scalar | None:
    return value if isinstance(value, (bool, int, float, str)) else None
