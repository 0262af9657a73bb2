"""What a check of the environment found."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["ok", "warning", "problem"]
"""A warning costs speed, comfort or a part of what could be shown; with a problem a job does not run."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at. As JSON it is what `speedtui doctor --json` lists."""

    name: str
    status: Status
    found: str
    advice: str = ""
    """What to do about it; empty where nothing needs doing."""
