"""Bounds of settings, which stand in their types, and what is said of a number outside of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from speedtui.engine.config.settings import Bounds, Section

Numbers = Iterator[tuple[str, int | float, Bounds | None]]


def bounds_in(kind: Any) -> Bounds | None:
    """Of a field's type; of `number | None` those of the number."""
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next((get_args(option)[1] for option in options if get_origin(option) is Annotated), None)


@cache
def bounds_of(section: type[Section]) -> dict[str, Bounds | None]:
    """By field."""
    return {name: bounds_in(kind) for name, kind in get_type_hints(section, include_extras=True).items()}


def numbers_of(section: Section, prefix: str = "") -> Numbers:
    """(path, value, bounds) of every number that is set; those of the user's own tables are the user's."""
    for name, bounds in bounds_of(type(section)).items():
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from numbers_of(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, value, bounds


def plain(number: float) -> str:
    """A whole number with all its digits."""
    return str(number) if isinstance(number, int) else f"{number:g}"


def bounds_words(bounds: Bounds) -> str:
    """`at least 1`."""
    if bounds.gt == 0 and bounds.lt is not None:
        return f"between 0 and {plain(bounds.lt)}"
    words = [] if bounds.ge is None else [f"at least {plain(bounds.ge)}"]
    words += [] if bounds.gt is None else ["above zero" if bounds.gt == 0 else f"above {plain(bounds.gt)}"]
    words += [] if bounds.lt is None else [f"below {plain(bounds.lt)}"]
    return " and ".join(words)


def hint_of(bounds: Bounds | None) -> str:
    """What a share looks like; of other numbers nothing that the problem does not say."""
    return "0.05 is 5 %." if bounds is not None and bounds.gt == 0 and bounds.lt == 1 else ""


def problem_of(value: float, bounds: Bounds | None) -> str:
    """`must be at least 1, got 0`; empty where there is none."""
    if not math.isfinite(value):
        return f"must be a finite number, got {value}"
    if bounds is None:
        return ""
    inside = (
        (bounds.ge is None or value >= bounds.ge)
        and (bounds.gt is None or value > bounds.gt)
        and (bounds.lt is None or value < bounds.lt)
    )
    return "" if inside else f"must be {bounds_words(bounds)}, got {plain(value)}"
