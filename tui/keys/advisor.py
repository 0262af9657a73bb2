"""The Advisor: what would make it faster."""

from __future__ import annotations

from speedtui.tui.keys.key import Key

ADVISOR: tuple[Key, ...] = ()
