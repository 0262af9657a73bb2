"""Keys pressed as a person does: each lot seen to have worked before the next one."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

from pseudo_terminal import PATIENCE_SECONDS
from recorded import RecordedSession
from textual.app import App, ScreenStackError
from textual.pilot import Pilot

from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp

WANTED = ("_layout_required", "_repaint_required", "_dirty_widgets", "_callbacks")
"""Of a screen: what is still to be laid out, drawn or called."""
RESIZED = ("_resize_event", "_resize_timer")
"""Of an app: several sizes in a row are told once, after a moment."""


async def settled(pilot: Pilot[None]) -> None:
    """Until all that was asked for is laid out and drawn, however long the machine takes; not until a timer ticks.

    Twice in a row: what a widget is told last, such as a new size, may have it draw again.
    """
    app, quiet, end = pilot.app, 0, time.monotonic() + PATIENCE_SECONDS
    busy: dict[str, Any] = {}
    while quiet < 2 and app.is_running and not app._exit:
        assert time.monotonic() < end, f"{app.screen} does not come to rest: {busy}, {unrest(app)}"
        try:
            await pilot.pause()  # every message is handled, and the process idle
            screen = app.screen
        except ScreenStackError:  # the first one is on its way, or the last one gone
            quiet = 0
            continue
        wanted = {name: getattr(screen, name) for name in WANTED}
        wanted |= {name: getattr(app, name) for name in RESIZED}
        busy = {name: value for name, value in wanted.items() if value}
        quiet = 0 if busy else quiet + 1


def unrest(app: App[Any]) -> dict[str, Any]:
    """What could keep an app from coming to rest, for whoever reads that it did not."""
    pumps = (app, *app._registry)
    return {
        "batches": app._batch_count, "current": app.screen.is_current, "screens": app.screen_stack,
        "workers": [worker for worker in app.workers if worker.is_running],
        "pumps": [pump for pump in pumps if pump._running and not pump._message_queue.ready_event._waiters],
        "tasks": [task for task in asyncio.all_tasks() if not task.done()],
    }  # fmt: skip


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
