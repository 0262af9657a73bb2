"""What a person changes of a training while it goes on: by a lever, or by the schedule's settings."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.commands import Note, Set
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import SpeedtuiError
from speedtui.engine.plan_types import Advice
from speedtui.engine.state import RunState
from speedtui.tui.draft import schedule_edit
from speedtui.tui.draft.draft import Draft
from speedtui.tui.draft.front_draft import change, look
from speedtui.tui.draft.planning import write
from speedtui.tui.notifications import tell_error
from speedtui.tui.protocols import AppUse
from speedtui.tui.screens.confirm import ask_apply, ask_take, ask_which_run
from speedtui.tui.screens.edit import EditScreen
from speedtui.tui.screens.levers import LeversScreen
from speedtui.tui.screens.name import NameScreen


def show_levers(app: AppUse) -> None:
    """All levers; the one chosen is applied after asking once."""

    def chosen(lever: Advice | None) -> None:
        if lever is not None and not app.commands.refused():
            app.push_screen(ask_apply(lever), lambda answer: _apply(app, lever, answer))

    app.push_screen(LeversScreen(app.front.state()), chosen)


def _apply(app: AppUse, lever: Advice, answer: str | None) -> None:
    if answer == "apply":
        app.commands.send(Set(values=lever.changes))


def mark_moment(app: AppUse) -> None:
    """Marks the moment of the key in the run's log, by a name where one is typed."""
    if app.commands.refused():
        return
    at = _place(app.front.state())

    def told(name: str) -> str:
        return f"marks {at or 'this moment'} in the log{'' if name else '; a name is not needed'}"

    def named(name: str | None) -> None:
        if name is not None:
            now = _place(app.front.state())
            app.commands.send(Note(text=" ".join(filter(None, (name, f"(at {at})" if at and at != now else "")))))

    app.push_screen(NameScreen("Mark this moment", told), named)


def _place(run: RunState) -> str:
    """Where a run is, as far as it counts: `step 4310`, `trial #2`, or nothing."""
    if run.training is not None:
        return f"step {run.training.step}"
    running = run.study.running if run.study is not None else None
    return f"trial #{running.candidate.id}" if running is not None else ""


def edit_schedule(app: AppUse) -> None:
    """The schedule of the next run's draft; what differs goes to this run, too, or is written for the next one."""
    try:
        settings = schedule_edit.settings_now(app.front.state())
    except SpeedtuiError as error:
        tell_error(app, error)
        return
    shown = look(app)
    if shown is None:
        return
    draft = shown.draft

    def edited(values: dict[str, Scalar] | None) -> None:
        if values:
            question = ask_which_run(_question(draft, values), this_run=app.obeyed)
            app.push_screen(question, lambda answer: _take(app, values, answer))
        elif values is not None:
            change(app, lambda draft: draft.edit_among(schedule_edit.OFFERED_PATHS, values))

    heading = "Schedule, from the next step on or of the next run" if app.obeyed else "Schedule of the next run"
    lines = schedule_edit.schedule_lines(draft.settings)
    app.push_screen(EditScreen(heading, lines, schedule_edit.schedule_check(settings), schedule_edit.names()), edited)


def _question(draft: Draft, values: dict[str, Scalar]) -> str:
    """What differs, and what the next run has besides."""
    besides = [
        path.rpartition(".")[2] for path in draft.values() if path not in (*schedule_edit.OFFERED_PATHS, *values)
    ]
    return schedule_edit.change_text(draft.base, values) + (
        f"\nThe next run also changes {', '.join(besides)}." if besides else ""
    )


def take_draft(app: AppUse) -> None:
    """What the next run changes and this one can take up goes into this one, after asking; the rest stays."""
    shown = look(app)
    draft = shown.draft if shown is not None else None
    if draft is None or app.commands.refused():
        return
    values = draft.live_values()
    if not app.obeyed or not values:
        app.notify(_nothing_to_take(draft.values()), severity="warning")
        return
    stays = [path.rpartition(".")[2] for path in draft.values() if path not in values]
    text = schedule_edit.change_text(draft.base, values) + (
        f"\nStays for the next run: {', '.join(stays)}." if stays else ""
    )

    def answered(answer: str | None) -> None:
        if answer == "apply":
            app.commands.send(Set(values=values))

    app.push_screen(ask_take(text), answered)


def _nothing_to_take(values: Mapping[str, object]) -> str:
    if not values:
        return "Nothing is changed: ← → adjusts a setting of the next run."
    return "None of these changes can be made while a run goes on; w writes them for the next one."


def _take(app: AppUse, values: dict[str, Scalar], answer: str | None) -> None:
    """The draft has it in both cases: what this run takes up is no difference any more then."""
    if answer is None:
        return
    change(app, lambda draft: draft.edit_among(schedule_edit.OFFERED_PATHS, values))
    if answer == "this":
        app.commands.send(Set(values=values))
    else:
        write(app)
