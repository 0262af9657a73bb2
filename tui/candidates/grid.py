"""Several values for several settings: every combination of them as a candidate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from speedtui.engine.config.paths import resolve_path, with_values
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.typed import split_setting, typed_value
from speedtui.engine.errors import ConfigError
from speedtui.engine.search.user_candidates import Expansion, expand_knobs
from speedtui.engine.state import TrialRow

WHERE = "grid"
"""Opens the messages of the configuration's own checks."""
MOST = 64
"""Candidates that one grid adds: at half a minute a trial they take half an hour, and a table of more is not read."""


class Grid(NamedTuple):
    """What a grid would add."""

    values: list[dict[str, Scalar]]
    """Of each new candidate, by path."""
    summary: str


def parse_knobs(lines: Iterable[str]) -> dict[str, list[Scalar]]:
    """Values by path of lines such as `train.micro_batch_size = 1, 2, 4`.

    Raises:
        ConfigError: the first line that cannot be used.
    """
    knobs: dict[str, list[Scalar]] = {}
    for line in filter(str.strip, lines):
        name, text = split_setting(line, WHERE, hint="Such as train.micro_batch_size = 1, 2, 4.")
        path = resolve_path(name, WHERE)
        if path in knobs:
            raise ConfigError(f"{WHERE}: {path} is set twice", "Write all of its values in one line.")
        values = [typed_value(path, value, WHERE) for value in text.split(",")]
        if None in values:
            raise ConfigError(
                f"{WHERE}: {path} lacks a value in {text!r}" if text else f"{WHERE}: {path} has no value",
                f"Such as {path} = 1, 2, 4.",
            )
        knobs[path] = [value for value in dict.fromkeys(values) if value is not None]
    return knobs


def read_grid(lines: Sequence[str], config: Mapping[str, Any], present: Iterable[TrialRow]) -> Grid:
    """The candidates of the lines that are not listed yet.

    Raises:
        ConfigError: a line that cannot be used, or nothing would be added, and why.
    """
    knobs = parse_knobs(lines)
    if not knobs:
        raise ConfigError(f"{WHERE}: no setting yet", "Write one, such as train.micro_batch_size = 1, 2, 4")
    settings = recorded_settings(config, "the run's configuration")
    found = expand_knobs(knobs, settings, MOST, WHERE)
    there = [with_values(settings, trial.candidate.values, WHERE) for trial in present]
    values = [candidate.values for candidate in found.candidates]
    fresh = [one for one in values if with_values(settings, one, WHERE) not in there]
    if not fresh:
        raise _nothing(found)
    return Grid(fresh, _summary(found, len(fresh)))


def _nothing(found: Expansion) -> ConfigError:
    """Why there is nothing to add: the first refusal as it stands where all were refused."""
    if found.refused and not found.candidates:
        return found.refused[0]
    hint = found.refused[0].hint if found.refused else "Add another value."
    return ConfigError(f"{WHERE}: nothing new: {'; '.join(_left_out(found, len(found.candidates)))}", hint)


def _summary(found: Expansion, fresh: int) -> str:
    """`12 candidates; 2 are there already; 3 refused: …`"""
    parts = ["1 candidate" if fresh == 1 else f"{fresh} candidates"]
    if found.total > MOST:
        parts.append(f"of {found.total} combinations {MOST} were taken, spread over them")
    return "; ".join([*parts, *_left_out(found, len(found.candidates) - fresh)])


def _left_out(found: Expansion, known: int) -> list[str]:
    """What is not added, in words."""
    parts = [f"{known} {'is' if known == 1 else 'are'} there already"] if known else []
    if found.refused:
        reason = found.refused[0].message.removeprefix(f"{WHERE}: ")
        parts.append(f"{len(found.refused)} refused: {reason}")
    return parts
