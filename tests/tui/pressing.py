"""Keys pressed as a person does: each lot seen to have worked before the next one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from pseudo_terminal import PATIENCE_SECONDS
from recorded import RecordedSession
from textual.app import ScreenStackError
from textual.pilot import Pilot

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp


async def settled(pilot: Pilot[None]) -> None:
    """Until all that was asked for is laid out and drawn, however long the machine takes; not until a timer ticks.

    Twice in a row: what a widget is told last, such as a new size, may have it draw again.
    """
    app, quiet, busy, end = pilot.app, 0, object(), time.monotonic() + PATIENCE_SECONDS
    while quiet < 2 and app.is_running and not app._exit:
        assert time.monotonic() < end, f"{app.screen} does not come to rest: {busy}"
        try:
            await pilot.pause()  # every message is handled, and the process idle
            screen = app.screen
        except ScreenStackError:  # the first one is on its way, or the last one gone
            quiet = 0
            continue
        busy = screen._layout_required or screen._repaint_required or screen._dirty_widgets or screen._callbacks
        busy = busy or app._resize_event or app._resize_timer  # several sizes in a row are told once, after a moment
        quiet = 0 if busy else quiet + 1


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Presses keys one after the other, and waits before and after them all."""
    await settled(pilot)
    await pilot.press(*keys)
    await settled(pilot)


async def until(pilot: Pilot[None], holds: Callable[[], object]) -> None:
    """Waits until something is so, however late a busy machine comes to it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it never came to be so"
        await asyncio.sleep(0.01)
    await settled(pilot)


async def heard(pilot: Pilot[None], session: RecordedSession, *events: AnyEvent) -> None:
    """These events come in, and after them all ticks of a second: each pane has had its own."""
    await until(pilot, lambda: session.followed)
    session.hear(*events)
    app = pilot.app
    assert isinstance(app, SpeedtuiApp)
    for _ in range(math.ceil(app.drawing.pace.rate_hz)):
        app.tick()
    await settled(pilot)
