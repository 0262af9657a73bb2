"""A profile: a named set of settings that trades speed, quality and memory, as a TOML file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import tomli_w

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import convert, nearest, value_at, with_values
from speedtui.engine.config.settings import DataSettings, ModelSettings, Scalar, Settings
from speedtui.engine.errors import ConfigError, UsageError

MICRO_BATCH = "train.micro_batch_size"
EFFECTIVE_BATCH = "train.effective_batch_size"
EPOCHS = "train.epochs"
MAX_STEPS = "train.max_steps"
MAX_LENGTH = "data.max_length"

UNMEASURED_SHARE = 0.7
"""Of a baseline that nobody has measured here, which is what is counted on (requirement B10)."""

ALLOWED_TABLES = ("train", "schedule", "recipe")
ALLOWED_SETTINGS = ("data.max_length", "data.packing", "data.eval_rows", "model.dtype", "model.quantize",
                    "model.attention")  # fmt: skip
"""Besides those tables: a profile says how to train, and neither what nor by when."""

GB = 1000**3
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_NAME_LENGTH = 64
"""Longer names fit no table and, on some file systems, no file name."""
_TOP = ("description", "settings", "baseline")
_BASELINE = ("tokens_per_second", "memory_gb", "device")
_PLAUSIBLE = Settings(model=ModelSettings(path="model"), data=DataSettings(train="data", text="text"))
"""A configuration with nothing wrong in it, so that whatever is found wrong comes from the profile."""


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile is said to reach on some device: a stated figure, to be used until one is measured."""

    tokens_per_second: float | None = None
    memory_bytes: int | None = None
    """Peak."""
    device: str = ""


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A profile as its file has it."""

    name: str
    """The file's name without its ending."""
    description: str
    values: dict[str, Scalar]
    """Settings by path."""
    baseline: Baseline = Baseline()
    own: bool = False
    """The user's, not one that ships with speedtui."""
    source: str = ""
    """The file, for messages."""


def check_profile_name(name: str) -> None:
    """A profile's name is a file's name and typed on command lines.

    Raises:
        UsageError: it is anything but lower-case letters and digits, with single dashes between them.
    """
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        raise UsageError(
            f"a profile cannot be named {name!r}",
            f"Use lower-case letters and digits, with single dashes between them, {_NAME_LENGTH} at most: my-profile.",
        )


def parse_profile(name: str, text: str, where: str, *, own: bool) -> Profile:
    """A profile from the text of its file; `where` opens every message.

    Raises:
        ConfigError: not TOML, an unknown key, a value of the wrong type, or one that cannot work.
    """
    try:
        tree = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of thousands of digits or brackets
        raise ConfigError(f"{where}: not TOML: {with_line(error, text)}", "Correct that line.") from None
    _refuse_unknown(tree, "", _TOP, where)
    description = tree.get("description", "")
    if not isinstance(description, str):
        raise ConfigError(f"{where}: description: expected text, got {description!r}")
    return Profile(
        name=name,
        description=description,
        values=_values(_table(tree, "settings", where), where),
        baseline=_baseline(_table(tree, "baseline", where), where),
        own=own,
        source=where,
    )


def with_line(error: Exception, text: str) -> str:
    """What is wrong with a text, always with the line: tomllib leaves it out at the end of a document."""
    last = text.rstrip().count("\n") + 1
    return str(error).replace("at end of document", f"at the end, line {last}")


def render_profile(description: str, values: Mapping[str, Scalar], baseline: Baseline) -> str:
    """The text of a profile's file."""
    tree: dict[str, Any] = {"description": description, "settings": {}}
    for path, value in values.items():
        *tables, last = path.split(".")
        node = tree["settings"]
        for table in tables:
            node = node.setdefault(table, {})
        node[last] = value
    stated = {
        "device": baseline.device or None,
        "tokens_per_second": baseline.tokens_per_second,
        "memory_gb": baseline.memory_bytes / GB if baseline.memory_bytes is not None else None,
    }
    kept = {key: value for key, value in stated.items() if value is not None}
    return tomli_w.dumps({**tree, "baseline": kept} if kept else tree)


def check_values(values: Mapping[str, Scalar], where: str) -> None:
    """Refuses settings by path that no run could use; a batch that is not named is taken to suit the other.

    What a recipe does with its knobs only it knows.

    Raises:
        ConfigError: naming the setting.
    """
    micro, effective = values.get(MICRO_BATCH), values.get(EFFECTIVE_BATCH)
    suited = dict(values)
    if micro is not None and effective is None:
        suited[EFFECTIVE_BATCH] = max(int(micro), 1)
    check(msgspec.structs.replace(with_values(_PLAUSIBLE, suited, where), recipe={}), where)


def _values(tree: Mapping[str, Any], where: str) -> dict[str, Scalar]:
    """The settings that a file names, by path, each of its setting's type."""
    typed = convert(tree, where)
    values: dict[str, Scalar] = {}
    for path, _ in flat_settings(tree):
        if path.partition(".")[0] not in ALLOWED_TABLES and path not in ALLOWED_SETTINGS:
            raise ConfigError(
                f"{where}: {path} does not belong in a profile, which says how to train and not what",
                "Set it in speedtui.toml.",
            )
        value = value_at(typed, path)
        if not isinstance(value, (bool, int, float, str)):
            raise ConfigError(f"{where}: {path}: a profile takes single values only, got {value!r}")
        values[path] = value
    if not values:
        raise ConfigError(f"{where}: no settings in it", "Write [settings.train] and settings as in speedtui.toml.")
    check_values(values, where)
    return values


def flat_settings(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that tables name."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat_settings(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _baseline(tree: Mapping[str, Any], where: str) -> Baseline:
    _refuse_unknown(tree, "baseline.", _BASELINE, where)
    device = tree.get("device", "")
    if not isinstance(device, str):
        raise ConfigError(f"{where}: baseline.device: expected text, got {device!r}")
    memory_gb = _positive(tree, "memory_gb", where)
    return Baseline(
        tokens_per_second=_positive(tree, "tokens_per_second", where),
        memory_bytes=round(memory_gb * GB) if memory_gb is not None else None,
        device=device,
    )


def _positive(tree: Mapping[str, Any], key: str, where: str) -> float | None:
    value = tree.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where}: baseline.{key}: expected a number, got {value!r}")
    if not 0 < value < math.inf:
        raise ConfigError(f"{where}: baseline.{key} must be above zero, got {value:g}")
    return float(value)


def _table(tree: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    table = tree.get(key, {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{where}: {key} is a table; write [{key}] and its keys below it")
    return table


def _refuse_unknown(tree: Mapping[str, Any], prefix: str, known: tuple[str, ...], where: str) -> None:
    names = [prefix + key for key in known]
    for key in tree:
        if key not in known:
            hint = f"It may have {', '.join(names)}."
            raise ConfigError(f"{where}: {prefix}{key} is not expected{nearest(prefix + key, names)}", hint)
