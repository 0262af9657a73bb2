"""Keys pressed as a person does: each lot seen to have worked before the next one."""

from __future__ import annotations

from textual.pilot import Pilot


async def settled(pilot: Pilot[None]) -> None:
    """Until all that was asked for is laid out and drawn, however long the machine takes; not until a timer ticks.

    Twice in a row: what a widget is told last, such as a new size, may have it draw again.
    """
    quiet = 0
    while quiet < 2 and not pilot.app._exit:
        await pilot.pause()  # every message is handled, and the process idle
        screen = pilot.app.screen
        busy = screen._layout_required or screen._repaint_required or screen._dirty_widgets or screen._callbacks
        quiet = 0 if busy else quiet + 1


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Presses keys one after the other, and waits before and after them all."""
    await settled(pilot)
    await pilot.press(*keys)
    await settled(pilot)
