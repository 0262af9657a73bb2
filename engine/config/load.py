"""speedtui.toml from disk and back."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import tomli_w

from speedtui.engine.config.check import check
from speedtui.engine.config.paths import convert, with_values
from speedtui.engine.config.settings import Section, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.regular_file import require_regular
from speedtui.engine.trust import flaw_of_open, refuse

DEFAULT_NAME = "speedtui.toml"


def load_settings(path: Path, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Reads, overrides (by path) and checks a configuration; relative paths in it count from its folder.

    Raises:
        ConfigError: the file is missing, not TOML, somebody else's, or says something that cannot be used.
    """
    where = str(path)
    written = convert(_read_toml(path), where)
    settings = _anchored(with_values(written, overrides or {}, _TYPED), path.resolve().parent)
    check(settings, _TYPED if overrides and _works(written) else where)
    _refuse_empty(written, where)
    return settings


_TYPED = "command line"
_SWITCHED_OFF = "schedule.metric"
"""The one text that may be empty: so a running training is told to do without it."""


def _refuse_empty(section: Section, where: str, prefix: str = "") -> None:
    """A text with nothing in it says neither what it is nor that it is left out."""
    for name in section.__struct_fields__:
        value, path = getattr(section, name), f"{prefix}{name}"
        if isinstance(value, Section):
            _refuse_empty(value, where, f"{path}.")
        elif isinstance(value, str) and not value.strip() and path != _SWITCHED_OFF:
            raise ConfigError(f"{where}: {path} is empty", "Write a value, or leave it out.")


def _works(settings: Settings) -> bool:
    """Whether the file alone could be used, so that what is wrong was typed."""
    try:
        check(settings, "")
    except ConfigError:
        return False
    return True


def dump_settings(settings: Settings) -> str:
    """The configuration as TOML; what is not set is left out."""
    return tomli_w.dumps(_without_none(msgspec.to_builtins(settings)))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.parts[1:2] not in (("dev",), ("proc",)):  # where a shell lays what a command writes, as <(...)
            require_regular(path, path.stat())
        with path.open("rb") as file:
            refuse(path, flaw_of_open(file.fileno(), path))
            text = file.read().decode("utf-8-sig")  # Windows' editors begin a file with the mark
    except FileNotFoundError:
        raise missing_config(path) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: not UTF-8 text", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", "Name another file with --config.") from None
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also of thousands of digits or brackets
        raise ConfigError(f"{path}: not TOML: {error}", "Correct that line.") from None


def missing_config(path: Path) -> ConfigError:
    """What is said where there is none."""
    return ConfigError(
        f"{path}: no such configuration file",
        "Run `speedtui init` to write one, name another with --config, or try `speedtui demo`.",
    )


def utf8_name(path: Path) -> str:
    """The path as text that can stand in a configuration and a log.

    Raises:
        ConfigError: it holds bytes of another encoding.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise ConfigError(f"{shown}: the name is not UTF-8, as a run's files are", "Rename it.") from None
    return str(path)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Paths made absolute. A model path that is no folder stays as it is: it may be a hub id."""

    def anchor(text: str | None) -> str | None:
        return utf8_name((folder / os.path.expanduser(text)).resolve()) if text else None

    def anchor_model(text: str | None) -> str | None:
        if text is None or (not (folder / text).exists() and not text.startswith((".", "/", "~"))):
            return text
        return anchor(text)

    model, data = settings.model, settings.data
    recipe = model.recipe
    if recipe and ":" in recipe:
        file, _, function = recipe.rpartition(":")
        recipe = f"{anchor(file)}:{function}"
    replace = msgspec.structs.replace
    metric = settings.schedule.metric
    if metric and ":" in metric:
        file, _, function = metric.rpartition(":")
        metric = f"{anchor(file)}:{function}"
    return replace(
        settings,
        model=replace(
            model,
            path=anchor_model(model.path),
            tokenizer=anchor_model(model.tokenizer),
            recipe=recipe,
            start_from=anchor(model.start_from),
        ),
        schedule=replace(settings.schedule, metric=metric),
        data=replace(data, train=anchor(data.train), eval=anchor(data.eval)),
        search=replace(settings.search, configs=anchor(settings.search.configs)),
    )


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [_without_none(value) for value in tree]
    return tree
