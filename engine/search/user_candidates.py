"""The user's own candidates: a list from a file, or the knobs of the configuration."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from itertools import islice, product
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.paths import resolve_path
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.profile.profile import flat_settings
from speedtui.engine.search.candidates import make_candidate

_EXAMPLE = 'Write a list such as [{"micro_batch_size": 2, "train.lora.r": 8}], or [[candidate]] tables in TOML.'


def read_configs(path: Path, settings: Settings) -> list[Candidate]:
    """Candidates from a JSON list or from TOML `[[candidate]]` tables, each entry settings by path.

    Raises:
        ConfigError: the file cannot be read, or an entry names an unknown knob or an impossible value.
    """
    entries = _entries(path)
    if not entries:
        raise ConfigError(f"{path}: no candidates in it", _EXAMPLE)
    candidates = []
    for number, entry in enumerate(entries):
        where = f"{path}: candidate {number + 1}"
        if not isinstance(entry, Mapping):
            raise ConfigError(f"{where}: expected settings by path, got {entry!r}", _EXAMPLE)
        candidates.append(make_candidate(number, dict(flat_settings(entry)), settings, where))
    return candidates


class Expansion(msgspec.Struct, frozen=True, kw_only=True):
    """What a grid of settings comes to."""

    candidates: list[Candidate]
    refused: list[ConfigError]
    """One for each combination that cannot work."""
    total: int
    """Combinations in all; more than were looked at where that was capped."""


def knob_candidates(knobs: Mapping[str, list[Scalar]], settings: Settings, count: int) -> tuple[list[Candidate], int]:
    """At most `count` combinations of the knobs, spread over all of them; and how many there are in all.

    Raises:
        ConfigError: an unknown knob, no values, or a value that cannot work.
    """
    found = expand_knobs(knobs, settings, count, "search.knobs")
    if found.refused:
        raise found.refused[0]
    return found.candidates, found.total


def expand_knobs(knobs: Mapping[str, list[Scalar]], settings: Settings, count: int, where: str) -> Expansion:
    """The same, but combinations that cannot work are told apart from those that can.

    Raises:
        ConfigError: an unknown knob or no values; `where` opens the message.
    """
    names = [resolve_path(name, where) for name in knobs]
    for name, values in knobs.items():
        if not values:
            raise ConfigError(f"{where}: {name} has no values", "Give at least one.")
    total = math.prod(len(values) for values in knobs.values())
    chosen = product(*knobs.values()) if total <= count else _spread(list(knobs.values()), count)
    candidates: list[Candidate] = []
    refused: list[ConfigError] = []
    for number, combination in enumerate(chosen):
        try:
            named = dict(zip(names, combination, strict=True))
            candidates.append(make_candidate(number, named, settings, where))
        except ConfigError as error:
            refused.append(error)
    return Expansion(candidates=candidates, refused=refused, total=total)


def _spread(columns: list[list[Scalar]], count: int) -> list[tuple[Scalar, ...]]:
    """Different combinations in which every value of every knob comes up about equally often.

    Rank-1 lattice: knob k moves by the fractional part of i x (golden ratio powers), so that neighbours differ.
    """
    chosen: dict[tuple[Scalar, ...], None] = {}
    golden = _generalized_golden_ratio(len(columns))
    for i in range(count * 64):
        point = [(0.5 + i / golden ** (k + 1)) % 1 for k in range(len(columns))]
        chosen[tuple(column[int(x * len(column))] for column, x in zip(columns, point, strict=True))] = None
        if len(chosen) == count:
            break
    rest = (values for values in product(*columns) if values not in chosen)
    return [*chosen, *islice(rest, count - len(chosen))]


def _generalized_golden_ratio(dimensions: int) -> float:
    """The root of x^(d+1) = x + 1, which makes the R-sequence spread evenly (M. Roberts, 2018)."""
    x = 2.0
    for _ in range(32):
        x = (1 + x) ** (1 / (dimensions + 1))
    return x


def _entries(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file of candidates", _EXAMPLE) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: cannot be read: not UTF-8 text", "Save it as UTF-8.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", _EXAMPLE) from None
    try:
        tree = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}: not JSON: {error.msg}", _EXAMPLE) from None
    except (ValueError, RecursionError) as error:  # also of thousands of digits or brackets
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise ConfigError(f"{path}: not {kind}: {error}", _EXAMPLE) from None
    if isinstance(tree, Mapping):
        unknown = [key for key in tree if key != "candidate"]
        if unknown:
            raise ConfigError(f"{path}: {unknown[0]} is not expected at the top", _EXAMPLE)
        tree = tree.get("candidate", [])
    if not isinstance(tree, list):
        raise ConfigError(f"{path}: expected a list of candidates", _EXAMPLE)
    return tree
