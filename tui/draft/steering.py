"""What a person changes of a training while it goes on: by a lever, or by the schedule's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from speedtui.engine.commands import Set
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.planned import Advice
from speedtui.tui.draft.schedule_edit import (
    change_text,
    names,
    schedule_check,
    schedule_lines,
    settings_now,
    train_command,
    write_next,
)
from speedtui.tui.news import tell_error
from speedtui.tui.screens.confirm import ask_apply, ask_take, ask_which_run, say
from speedtui.tui.screens.edit import EditScreen
from speedtui.tui.screens.levers import LeversScreen

if TYPE_CHECKING:
    from speedtui.tui.app import SpeedtuiApp


def show_levers(app: SpeedtuiApp) -> None:
    """All levers; the one chosen is applied after asking once."""

    def chosen(lever: Advice | None) -> None:
        if lever is not None and not app.orders.refused():
            app.push_screen(ask_apply(lever), lambda answer: _apply(app, lever, answer))

    app.push_screen(LeversScreen(app.front.state()), chosen)


def _apply(app: SpeedtuiApp, lever: Advice, answer: str | None) -> None:
    if answer == "apply":
        app.orders.send(Set(values=lever.changes))


def edit_schedule(app: SpeedtuiApp) -> None:
    """The schedule as it is now; what differs goes to this run or to the next one."""
    try:
        settings = settings_now(app.front.state())
    except SpeedtuiError as error:
        tell_error(app, error)
        return

    def edited(values: dict[str, Scalar] | None) -> None:
        if values:
            question = ask_which_run(change_text(settings, values), this_run=app.obeyed)
            app.push_screen(question, lambda answer: _take(app, settings, values, answer))

    heading = "Schedule, from the next step on or of the next run" if app.obeyed else "Schedule of the next run"
    app.push_screen(EditScreen(heading, schedule_lines(settings), schedule_check(settings), names()), edited)


def take_draft(app: SpeedtuiApp) -> None:
    """What the next run changes and this one can take up goes into this one, after asking; the rest stays."""
    from speedtui.tui.draft.desk import look

    shown = look(app)
    draft = shown.draft if shown is not None else None
    if draft is None or app.orders.refused():
        return
    values = draft.live_values()
    if not app.obeyed or not values:
        app.notify(_nothing_to_take(draft.values()), severity="warning")
        return
    stays = [path.rpartition(".")[2] for path in draft.values() if path not in values]
    text = change_text(draft.base, values) + (f"\nStays for the next run: {', '.join(stays)}." if stays else "")

    def answered(answer: str | None) -> None:
        if answer == "apply":
            app.orders.send(Set(values=values))

    app.push_screen(ask_take(text), answered)


def _nothing_to_take(values: Mapping[str, object]) -> str:
    if not values:
        return "Nothing is changed: ← → adjusts a setting of the next run."
    return "None of these changes can be made while a run goes on; w writes them for the next one."


def _take(app: SpeedtuiApp, settings: Settings, values: dict[str, Scalar], answer: str | None) -> None:
    if answer == "this":
        app.orders.send(Set(values=values))
    elif answer == "next":
        _write(app, settings, values)


def _write(app: SpeedtuiApp, settings: Settings, values: dict[str, Scalar]) -> None:
    try:
        path = write_next(app.front.session.folder.path, settings, values)
    except SpeedtuiError as error:
        tell_error(app, error)
        return
    app.push_screen(say("Written for the next run", f"{path}\nTrain with it:\n{train_command(path)}"))
