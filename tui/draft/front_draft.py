"""The draft of the run in front: looked at, and made another one."""

from __future__ import annotations

from collections.abc import Callable

from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import ConfigError
from speedtui.engine.state import RunState
from speedtui.tui.draft.draft import Draft, Layers, diff_as_toml
from speedtui.tui.draft.draft_editor import DraftEditor
from speedtui.tui.draft.next_run import NextRun
from speedtui.tui.notifications import tell_error
from speedtui.tui.protocols import AppUse, ShownRuns


def draft_editor(app: ShownRuns) -> DraftEditor:
    """The one of the run in front."""
    front = app.front
    if front.draft_editor is None:
        front.draft_editor = DraftEditor()
    return front.draft_editor


def look(app: ShownRuns) -> NextRun | None:
    """The next run of the run in front."""
    front = app.front.state()
    return draft_editor(app).look(front, _plan_run(app, front), app.options.clock())


def change(app: AppUse, make: Callable[[Draft], Draft]) -> None:
    """Makes the draft another one, or says why it cannot be."""
    editor = draft_editor(app)
    if look(app) is None or editor.draft is None:
        return
    try:
        editor.draft = make(editor.draft)
    except ConfigError as error:
        tell_error(app, error)
        return
    app.drawing.now()


def taken(app: ShownRuns) -> dict[str, Scalar]:
    """What the next run has besides what is in use, by path; what is taken away is left out."""
    draft = draft_editor(app).draft
    values = draft.values() if draft is not None and draft.layers != Layers() else {}
    return {path: value for path, value in values.items() if value is not None}


def difference(app: ShownRuns) -> str:
    """The same as it would stand in the configuration file, with what it was before."""
    shown = look(app)
    return diff_as_toml(shown.draft.diff()) if shown is not None else ""


def _plan_run(app: ShownRuns, front: RunState) -> RunState:
    """The run whose plan counts: the last one made from here, else its own, else one made before of the same
    configuration; without any, one that is being made."""
    planning = app.runs.planning.state() if app.runs.planning is not None else None
    if planning is not None and planning.plan is not None:
        return planning
    if front.plan is not None:
        return front
    return app.front.earlier_plan(front, app.options.clock()) or planning or front
