"""When an app in a test has nothing left to do: each of its message pumps waits for a message, and all is drawn.

In place of Textual's own `wait_for_idle`, which sleeps 20 ms at a time until the process takes no CPU time: most of
what a pressed key took, and on a busy machine no proof. Where a real session is followed, or a terminal is drawn on,
that has to do: nobody knows when the next thing comes from there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import textual.app
import textual.pilot
from recorded import RecordedSession
from textual._context import active_app
from textual._wait import wait_for_idle as process_is_idle
from textual.app import App, ScreenStackError
from textual.worker import Worker

from speedtui.engine.session.base import Session
from speedtui.tui.runs.open_run import OpenRun

SOON_SECONDS = 0.001
"""Between two looks at whether a thread has ended, or several new sizes were taken for one."""


async def app_is_idle(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Until everything that was asked for has been done and drawn; not until a timer ticks that is not due.

    Args: those of Textual's own, which are for where that is asked.
    """
    app = active_app.get()
    if not app.is_headless:
        return await process_is_idle(min_sleep, max_sleep)
    if not await all_is_done(app):
        await process_is_idle(min_sleep, max_sleep)
        await nothing_is_ready()
        while draws(app):  # what ticked meanwhile
            await nothing_is_ready()
    return None


async def all_is_done(app: App[Any]) -> bool:
    """Waits for it, and says whether that can be known."""
    while True:
        await nothing_is_ready()
        working = [worker for worker in app.workers if works(worker)]
        if any(follows(worker) for worker in working):
            return False
        if working or app._resize_timer is not None:
            await asyncio.sleep(SOON_SECONDS)
        elif not draws(app):  # else a pump waits for something that is neither a message nor a worker
            return all(waits(pump) for pump in (app, *app._registry))


async def nothing_is_ready() -> None:
    """Until no task can go on, and every timer has gone off that is due now.

    Not those that come due meanwhile: where a tick takes as long as it is to the next one, there is always one.
    """
    loop: Any = asyncio.get_running_loop()
    now = loop.time()
    await asyncio.sleep(0)
    while loop._ready or (loop._scheduled and loop._scheduled[0].when() <= now):
        await asyncio.sleep(0)


def works(worker: Worker[Any]) -> bool:
    """Whether it will end by itself, or goes on with something; of a recorded session's nothing comes."""
    session = session_of(worker)
    return worker.is_running and not (isinstance(session, RecordedSession) and session.at_rest)


def follows(worker: Worker[Any]) -> bool:
    """Whether it is the thread of a real session."""
    session = session_of(worker)
    return session is not None and not isinstance(session, RecordedSession)


def session_of(worker: Worker[Any]) -> Session | None:
    run = getattr(worker._work, "__self__", None)
    return run.session if isinstance(run, OpenRun) else None


def draws(app: App[Any]) -> bool:
    """Draws what the screen in front was asked for, as its timer does after a sixtieth of a second; whether it was."""
    try:
        screen = app.screen
    except ScreenStackError:  # the first one is on its way, or the last one gone
        return False
    wanted = (
        screen._layout_required or screen._scroll_required or screen._repaint_required or screen._recompose_required
        or screen._dirty_widgets or screen._callbacks
    )  # fmt: skip
    if not wanted or not screen.is_current or app._batch_count or not app.is_running:
        return False
    screen._on_timer_update()
    return True


def waits(pump: Any) -> bool:
    """Whether a message pump waits for its next message, if it still goes on."""
    return bool(not pump._running or pump._message_queue.ready_event._waiters)


def wait_until_idle() -> None:
    """From now on, for every pilot."""
    textual.app.wait_for_idle = textual.pilot.wait_for_idle = app_is_idle  # type: ignore[attr-defined]
