"""Whatever a log holds: no screen, dialog, notification, title, copy or file hands it on, and markup is text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders as b
import builders_advisor
import builders_plan
import builders_states
import pytest
from pressing import press, settled
from recorded import RecordedSession
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from speedtui.engine import events as e
from speedtui.engine.errors import SpeedtuiError
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.lines import Lines
from speedtui.tui.drawing.text import plain
from speedtui.tui.notifications import tell_error
from speedtui.tui.terminal.title import title_of
from tests.poisoned import POISONS, Poison, found_in, one_of_each, poisoned

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]

LOGS = {
    "a study": (b.study_log(finished=True), {"2": "PmwdD"}), "a training": (b.late_training_log(), {"1": "?5plS:"}),
    "trouble": (b.trouble_log(), {}), "a plan": (builders_plan.planned_log(), {"3": "gPw"}),
    "advice": (builders_advisor.stacked_study(), {"4": "vwl"}), "a failure": (builders_states.failed_log(), {}),
}  # fmt: skip
"""A run, and the keys that open or write something on a screen of it; escape leaves it."""
NAMES = {"?": "question_mark", ":": "colon"}
MARKUP = "exp[lr=1e-4] lora[r=8] [/] [bold red]x[/bold red]"


def look(app: SpeedtuiApp, where: str) -> str:
    """What the terminal is sent for the whole screen."""
    text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
    assert not found_in(text), (where, found_in(text), text)
    for lines in app.screen.query(Lines):  # what a pane left to the last gate would have another width than it thinks
        for row in lines.rows:
            assert not found_in(plain(row)), (where, lines.id, plain(row))
    for note in app._notifications:
        assert not found_in(note.message) and not found_in(note.title) and not note.markup, (where, note)
    return text


async def walk(app: SpeedtuiApp, pilot: Pilot[None], keys: dict[str, str]) -> None:
    """Every screen, what is copied there, and what opens on it."""
    for screen in "1234":
        await press(pilot, screen, "y")
        look(app, screen)
        assert not found_in(app.clipboard), (screen, app.clipboard)
        for key in keys.get(screen, ""):
            await press(pilot, NAMES.get(key, key))
            look(app, f"{screen} {key}")
            await press(pilot, "escape")


@pytest.mark.parametrize("name", LOGS)
async def test_nothing_of_a_log_is_obeyed_on_any_screen(name: str, open_app: OpenApp, tmp_path: Path) -> None:
    log, keys = LOGS[name]
    session = RecordedSession(poisoned(log), folder=tmp_path)
    app = open_app(session)
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await settled(pilot)
        assert not found_in(title_of(session.snapshot()))
        await walk(app, pilot, keys)
    for path in tmp_path.iterdir():
        if path.suffix in (".txt", ".md", ".csv"):
            text = path.read_bytes().decode().replace("\r\n", "\n")
            assert not found_in(text), (path.name, text)


async def test_nothing_is_obeyed_of_what_comes_while_one_looks(open_app: OpenApp) -> None:
    session = RecordedSession(b.late_training_log())
    app = open_app(session)
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await settled(pilot)
        t = session.snapshot().t
        for level, text in zip(("warning", "error") * len(POISONS), POISONS, strict=False):
            session.hear(e.Notice(t=t, level=level, text=text, hint=text))  # type: ignore[arg-type]
            tell_error(app, SpeedtuiError(text, text))
        for event in one_of_each(Poison()):
            if not isinstance(event, e.RunStarted):
                session.hear(event)
        app.tick()
        await settled(pilot)
        look(app, "what came")


async def test_a_name_with_brackets_reads_as_it_is(open_app: OpenApp) -> None:
    session = RecordedSession(b.late_training_log())
    app = open_app(session)
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        await settled(pilot)
        session.hear(e.Notice(t=session.snapshot().t, level="info", text=MARKUP))
        app.notify(MARKUP, title=MARKUP, markup=True)
        app.drawing.now()
        await settled(pilot)
        while not (toasts := app.screen.query(Toast)):
            await pilot.pause()
        await settled(pilot)
        assert str(toasts.first().render()) == f"{MARKUP}\n{MARKUP}"
        assert look(app, "brackets").count(MARKUP) == 3
