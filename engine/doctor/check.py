"""What a check of the environment found, and checks as text for a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from speedtui.engine.clean import clean
from speedtui.engine.units import plural

Status = Literal["ok", "warning", "problem"]
"""A warning costs speed, comfort or a part of what could be shown; with a problem a job does not run."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. As JSON it is what `speedtui doctor --json` lists."""

    name: str
    status: Status
    found: str
    advice: str = ""
    """What to do about it; empty where nothing needs doing."""


def render(checks: Sequence[Check]) -> str:
    """One line for each check in aligned columns, its advice below it, and a summary. The status is always a word."""
    width = max((len(check.name) for check in checks), default=0)
    lines = [line for check in checks for line in _lines(check, width)]
    return "\n".join([*lines, "", _summary(checks)]) + "\n"


def _lines(check: Check, width: int) -> list[str]:
    lines = [f"{check.status:<7}  {check.name:<{width}}  {clean(check.found)}"]
    if check.advice:
        lines.append(f"{'':<7}  {'':<{width}}  -> {clean(check.advice)}")
    return lines


def _summary(checks: Sequence[Check]) -> str:
    problems = sum(check.status == "problem" for check in checks)
    warnings = sum(check.status == "warning" for check in checks)
    if not problems and not warnings:
        return "Everything works."
    counts = [plural(problems, "problem")] if problems else []
    counts += [plural(warnings, "warning")] if warnings else []
    return " and ".join(counts) + "."
