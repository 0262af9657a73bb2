"""Settings by path: `train.lora.r`, `micro_batch_size`, `recipe.ddpm_mul`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec

from speedtui.engine.config.settings import Section, Settings
from speedtui.engine.errors import ConfigError

FREE_TABLES = ("recipe", "model.architecture", "search.knobs")
"""Tables whose keys are the user's own."""


@cache
def setting_paths() -> tuple[str, ...]:
    """Every setting's path, tables of the user's own excluded."""
    return tuple(_paths_below(Settings, ""))


def _paths_below(section: type[Section], prefix: str) -> Iterator[str]:
    for name, kind in get_type_hints(section).items():
        path = prefix + name
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _paths_below(kind, path + ".")
        elif path not in FREE_TABLES:
            yield path


def resolve_path(name: str, where: str) -> str:
    """The full path of a setting named by its path or, where only one ends so, by its last part.

    Raises:
        ConfigError: no setting has that name, or several have; `where` opens the message.
    """
    if name.startswith("recipe.") and name.count(".") == 1:
        return name
    paths = list(setting_paths())
    if name in paths:
        return name
    endings = [path for path in paths if path.rpartition(".")[2] == name]
    if len(endings) == 1:
        return endings[0]
    if endings:
        raise ConfigError(f"{where}: {name} could be {' or '.join(endings)}", "Write the full path.")
    raise ConfigError(f"{where}: {name} is not a setting{nearest(name, paths)}", _all_names_hint())


def nearest(name: str, known: list[str]) -> str:
    """`; did you mean train.epochs?`, or nothing where no name is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not close:
        by_last = {path.rpartition(".")[2]: path for path in known}
        close = [by_last[last] for last in difflib.get_close_matches(name, list(by_last), n=1, cutoff=0.6)]
    return f"; did you mean {close[0]}?" if close else ""


def differing_scalars(several: Sequence[Settings]) -> list[str]:
    """Full paths of what these settings differ in, knobs of the recipe's own included; lists and tables are not."""
    knobs = {f"recipe.{name}" for one in several for name in one.recipe}
    return [path for path in (*setting_paths(), *sorted(knobs)) if _differ([value_at(one, path) for one in several])]


def _differ(values: Sequence[Any]) -> bool:
    return any(value != values[0] for value in values) and all(
        isinstance(value, str | int | float | None) for value in values
    )


def value_at(settings: Settings, path: str) -> Any:
    """The value of a setting by its full path; None for a recipe knob that is not set."""
    value: Any = settings
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else getattr(value, part, None)
    return value


def with_values(settings: Settings, values: Mapping[str, Any], where: str) -> Settings:
    """A copy with some settings replaced, each checked against its type.

    Raises:
        ConfigError: an unknown path or a value of the wrong type.
    """
    tree = msgspec.to_builtins(settings)
    for name, value in values.items():
        *tables, last = resolve_path(name, where).split(".")
        node = tree
        for table in tables:
            node = node[table]
        node[last] = value
    return convert(tree, where)


def convert(tree: Mapping[str, Any], where: str) -> Settings:
    """Settings from plain tables.

    Raises:
        ConfigError: a key that is no setting, or a value of another type, with the key's path.
    """
    _refuse_unknown(tree, Settings, "", where)
    _refuse_unwritable(tree, "", where)
    try:
        return msgspec.convert(tree, Settings)
    except msgspec.ValidationError as error:
        expected, _, place = str(error).partition(" - at `$")
        path = place.strip("`").lstrip(".") or "the file"
        path = path.replace("[...]", "")
        raise ConfigError(f"{where}: {path}: {_problem(expected, tree, path)}", _type_hint(path)) from None


@cache
def _kinds(section: type[Section]) -> dict[str, Any]:
    """Types by key; working them out takes longer than all the rest of a check."""
    return get_type_hints(section)


def _refuse_unknown(tree: Mapping[str, Any], section: type[Section], prefix: str, where: str) -> None:
    kinds = _kinds(section)
    for key, value in tree.items():
        path = prefix + key
        if key not in kinds:
            known = [prefix + name for name in kinds] + list(setting_paths())
            raise ConfigError(f"{where}: {path} is not a setting{nearest(path, known)}", _all_names_hint())
        kind = kinds[key]
        if isinstance(kind, type) and issubclass(kind, Section):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {path} is a table; write [{path}] and its settings below it")
            _refuse_unknown(value, kind, path + ".", where)


def _refuse_unwritable(value: Any, path: str, where: str) -> None:
    """What TOML's reader takes and neither a log nor a file's name can hold."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_unwritable(inner, f"{path}.{key}" if path else str(key), where)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _refuse_unwritable(inner, f"{path}[{index}]", where)
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        digits = len(str(abs(value)))
        raise ConfigError(f"{where}: {path}: a whole number of {digits} digits is too large", "64 bits hold one of 18.")
    elif isinstance(value, str) and "\0" in value:
        raise ConfigError(f"{where}: {path}: the text holds a NUL character", f"Correct {path}.")


_TYPE_NAMES = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false",
               "array": "a list", "object": "a table", "null": "nothing"}  # fmt: skip
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
"""Of a place such as `train.lora.target_modules[0]`."""


def _problem(expected: str, tree: Mapping[str, Any], path: str) -> str:
    """`expected a number, got 'three'`."""
    choices = _choices(path)
    problem = _spoken(expected, choices)
    try:
        given = _given(tree, path)
    except LookupError:  # msgspec does not tell which entry of a free table it was
        return problem
    return f"{problem}, got {given!r}{nearest(str(given), choices)}"


def _spoken(expected: str, choices: list[str]) -> str:
    if choices:
        return "expected " + ("one of " if len(choices) > 1 else "") + ", ".join(choices)
    wanted = expected.removeprefix("Expected ").partition(", got ")[0]
    names = [name.strip("` ") for name in wanted.split(" | ")]
    return "expected " + " or ".join(_TYPE_NAMES.get(n, n) for n in names if n != "null")


def _given(tree: Mapping[str, Any], path: str) -> Any:
    """The value at a place; raises LookupError where there is none."""
    value: Any = tree
    for index, name in _STEP.findall(path):
        if not isinstance(value, list if index else Mapping):
            raise LookupError(path)
        value = value[int(index) if index else name]
    return value


def value_choices(path: str) -> list[str]:
    """The values that a setting may have, as they are written, where they are few; else nothing."""
    if _kind_at(path) is bool:
        return ["true", "false"]
    return [choice for choice in _choices(path) if choice != _A_LIST]


def holds_text(path: str) -> bool:
    """Whether any text is a value of the setting, so that it need not be quoted."""
    kind = _kind_at(path)
    return str in (get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,))


_A_LIST = "a list"


def _choices(path: str) -> list[str]:
    """The values that the setting may have, where they are few; a list of the user's own is one of them."""
    section = _kind_at(path)
    options = [section, *(get_args(section) if get_origin(section) in (Union, UnionType) else ())]
    named = [str(value) for option in options for value in get_args(option) if isinstance(value, str)]
    return [*named, *(_A_LIST for option in options if named and get_origin(option) is list)]


def _kind_at(path: str) -> Any:
    """The type of a setting, or of what its list holds for a place such as `track.to[0]`; None where there is none."""
    section: Any = Settings
    for index, name in _STEP.findall(path):
        if index:
            options = get_args(section) if get_origin(section) in (Union, UnionType) else (section,)
            section = next((get_args(option)[0] for option in options if get_origin(option) is list), None)
        else:
            section = get_type_hints(section).get(name) if isinstance(section, type) else None
    return section


def _type_hint(path: str) -> str:
    return f"Correct {path}." if "." in path else "See `speedtui init` for a commented example."


def _all_names_hint() -> str:
    return "`speedtui init` writes every setting with a comment."
