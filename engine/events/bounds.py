"""Numbers that nobody can have meant: one flipped bit makes a finish in the year 10^300 of a good line.

Every reader counts with what it reads, as dates, widths and sums; so a line with such a number is no event.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

MOST_SECONDS = 1e10
"""317 years: a few of them added to a time of today are still a date, which ends with the year 9999."""
MOST_COUNT = 1e18
"""Bytes, tokens, steps: within 64 bits."""
MOST_VALUE = 1e150
"""Anything else, such as a loss: its square is still finite."""
MOST_DEPTH = 64
"""Of what lies within an event; whoever reads it walks into it, too."""
_TIME = re.compile(r"t|wall|unaccounted|.*seconds|.*_at|deadline|finish.*|phases|device_phases|busy|busy_phases|terms")
"""Names of fields, or of their tables, that hold seconds."""
_PLAIN = frozenset({str, type(None), bool})
"""What holds no number."""
_SHAPES = (
    bytes(
        ord("0") if chr(code).isdigit() else ord("e") if chr(code) in "eE" else code if chr(code) == "." else ord(" ")
        for code in range(128)
    )
    + b" " * 128
)
_LARGE = b" " + b"0" * len(f"{MOST_SECONDS:.0f}")
"""Whole digits of a number that reach the least of the bounds."""


def may_be_absurd(line: bytes) -> bool:
    """Whether any number of a line is so long, or has such an exponent, that it can be out of bounds: asked first,
    since it takes a tenth of looking at them all, and a log has millions of lines."""
    shape = line.translate(_SHAPES, b"+")
    return b"e0" in shape or _LARGE in shape


def absurd(value: msgspec.Struct) -> str:
    """The first number in it that is out of bounds, with its field's name; empty where none is."""
    return _of_struct(value, 0)


def _of_struct(struct: msgspec.Struct, depth: int) -> str:
    fields, values = _fields(type(struct))
    for (name, seconds), value in zip(fields, values(struct), strict=True):
        kind = value.__class__
        if kind in _PLAIN:
            continue
        if kind is float or kind is int:  # nearly all: each line of a long log comes through here
            most = MOST_SECONDS if seconds else MOST_VALUE if kind is float else MOST_COUNT
            if not -most <= value <= most:
                return f"{name} is beyond {most:g}"
        elif value and (found := _of_any(name, value, seconds, depth)):
            return found
    return ""


def _of_any(name: str, value: Any, seconds: bool, depth: int) -> str:
    if isinstance(value, int | float):
        most = MOST_SECONDS if seconds else MOST_VALUE if isinstance(value, float) else MOST_COUNT
        return "" if -most <= value <= most else f"{name} is beyond {most:g}"
    if depth > MOST_DEPTH:
        return f"{name} is more than {MOST_DEPTH} deep"
    if isinstance(value, msgspec.Struct):
        return _of_struct(value, depth + 1)
    if isinstance(value, dict):
        if seconds and set(map(type, value.values())) == {float}:
            fine = min(value.values()) >= -MOST_SECONDS and max(value.values()) <= MOST_SECONDS
            return "" if fine else f"{name} is beyond {MOST_SECONDS:g}"
        pairs = [(str(key), one, seconds or _is_time(str(key))) for key, one in value.items()]
    else:
        pairs = [(name, one, seconds) for one in value] if isinstance(value, list | tuple) else []
    for key, one, of_time in pairs:
        if one.__class__ not in _PLAIN and (found := _of_any(key, one, of_time, depth + 1)):
            return found
    return ""


@cache
def _is_time(name: str) -> bool:
    return _TIME.fullmatch(name) is not None


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[list[tuple[str, bool]], Callable[[Any], tuple[Any, ...]]]:
    """Name of each field and whether it holds seconds, and what gets all their values at once."""
    names = kind.__struct_fields__
    if len(names) == 1:
        return [(names[0], _is_time(names[0]))], lambda struct: (getattr(struct, names[0]),)
    return [(name, _is_time(name)) for name in names], attrgetter(*names) if names else lambda struct: ()
