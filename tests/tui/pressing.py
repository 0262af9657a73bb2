"""Keys pressed as a person does: each lot seen to have worked before the next one."""

from __future__ import annotations

from textual.pilot import Pilot

SETTLE = 0.15
"""Seconds: for a screen to be laid out and drawn; a timer of 2 Hz need not have ticked."""


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Presses keys one after the other, and waits before and after them all."""
    await pilot.pause(SETTLE)
    await pilot.press(*keys)
    await pilot.pause(SETTLE)
