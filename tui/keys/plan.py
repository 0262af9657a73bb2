"""The Plan: profiles and the next run's schedule."""

from __future__ import annotations

from speedtui.tui.keys.key import Key

PLAN: tuple[Key, ...] = ()
