"""No key of the table is dead: each one, pressed where it may do something, changes what is seen or what is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product

import builders as b
import pytest
from pressing import settled
from recorded import RecordedSession
from textual.pilot import Pilot

from speedtui.engine import commands as c
from speedtui.engine.events import AnyEvent
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.keys import KEYS, Key
from speedtui.tui.keys.table import SCREENS

OpenApp = Callable[..., SpeedtuiApp]
Settle = Callable[[Pilot[None]], Awaitable[None]]
LONG_SECONDS = 2.0
"""For what a key does by a timer or a thread, where nothing was seen once the screen had settled."""
LOGS: dict[str, list[AnyEvent]] = {
    "training": b.training_log(600), "late": b.late_training_log(), "study": b.study_log(),
    "idle study": b.idle_study_log(), "finished study": b.study_log(finished=True),
}  # fmt: skip
BEFORE: dict[str, tuple[str, ...]] = {
    "screen.monitor": ("2",), "move.up": ("j", "j"), "move.top": ("j", "j"), "rate.faster": ("[",),
    "back": ("question_mark",), "filter.next": ("slash", "e", "enter"), "filter.previous": ("slash", "e", "enter", "n"),
    "trials.page_up": ("G",),
    "plan.undo": ("right",),
    "plan.reset": ("right",),
    "plan.reset_all": ("right",),
    "plan.toggle": ("G",),
    "plan.write": ("right",),
    "plan.now": ("right",),
    "trials.stop": ("G",), "advisor.undo": ("enter",), "pane.previous": ("tab", "tab"),
}  # fmt: skip
"""What is pressed first, where a key undoes or goes on with something."""
FIRST = {"trials": ("idle study", "finished study", "study"), "advisor": ("late", "idle study")}
"""Logs on which most keys do something, by screen; the others are tried after them."""
NEEDS_MORE = {
    "runs.next": "a second run", "runs.previous": "a second run",
    "run.kill": "a worker process", "screen.mouse": "a terminal", "screen.suspend": "a shell",
}  # fmt: skip
"""Keys whose effect only a test of their own can bring about."""


def textual_keys(key: Key) -> list[str]:
    return key.keys.split(",")


def seen(app: SpeedtuiApp, session: RecordedSession) -> object:
    """Everything that a key can change; of an app that is about to end, that it is."""
    if app._exit:
        return "left"
    return (
        type(app.screen).__name__, len(app.screen_stack), [c.command_name(sent) for sent in session.commands],
        [(pane.id, pane.region, pane.rows) for pane in app.screen.query(Lines) if pane.region.area],
        [note.message for note in app._notifications], app.theme, app.drawing.frozen, app.drawing.axis,
        app.clipboard, app.is_running,
    )  # fmt: skip


async def long_settled(pilot: Pilot[None]) -> None:
    await pilot.pause(LONG_SECONDS)


async def open_state(pilot: Pilot[None], key: Key, settle: Settle = settled) -> None:
    await settle(pilot)
    await pilot.press(*BEFORE.get(key.id, ()))
    await settle(pilot)


@pytest.mark.parametrize("key", [key for key in KEYS if key.scope != "replay" and key.id not in NEEDS_MORE],
                         ids=lambda key: key.id)  # fmt: skip
async def test_a_key_does_something_where_it_may(key: Key, open_app: OpenApp) -> None:
    screens = (
        [key.scope] if key.scope in SCREENS else ["trials" if key.id.startswith(("move", "filter")) else "monitor"]
    )
    tried = []
    logs = dict.fromkeys((*FIRST.get(screens[0], ()), *LOGS))
    for settle, log in product((settled, long_settled), logs):
        session = RecordedSession(LOGS[log])
        async with open_app(session, start_screen=screens[0]).run_test(size=(100, 30)) as pilot:
            app = pilot.app
            assert isinstance(app, SpeedtuiApp)
            await open_state(pilot, key, settle)
            situation = app.view.situation() if app.view is not None else None
            if situation is not None and not key.allowed(situation):
                continue
            tried.append(log)
            before = seen(app, session)
            if key.id == "screen.redraw":  # draws what is there already: nothing to see, but it must not fail
                await pilot.press(*textual_keys(key))
                return
            await pilot.press(textual_keys(key)[0])
            await settle(pilot)
            if seen(app, session) != before:
                return
    pytest.fail(f"{key.id} ({key.shown}) changed nothing, tried on {tried or 'no log: never allowed'}")


SEVERAL_NAMES = [
    key for key in KEYS if "," in key.keys and key.id != "screen.palette" and key.scope != "replay"
]  # fmt: skip
"""A recording's keys need one that plays: they have tests of their own."""


@pytest.mark.parametrize("key", SEVERAL_NAMES, ids=lambda key: key.id)
async def test_a_keys_other_names_do_the_same(key: Key, open_app: OpenApp) -> None:
    results = []
    for name in textual_keys(key):
        session = RecordedSession(LOGS["study"])
        async with open_app(session, start_screen="trials" if key.scope == "everywhere" else key.scope).run_test(
            size=(100, 30)
        ) as pilot:
            await open_state(pilot, key)
            await pilot.press(name)
            await settled(pilot)
            assert isinstance(pilot.app, SpeedtuiApp)
            results.append(seen(pilot.app, session))
    assert all(result == results[0] for result in results)
