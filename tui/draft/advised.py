"""What of the Advisor goes to the next run: the draft that the Plan shows, too."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.config.settings import Scalar
from speedtui.tui.draft.draft import Draft, Layers, diff_as_toml
from speedtui.tui.draft.front_draft import change, draft_editor, look
from speedtui.tui.protocols import AppUse, ShownRuns


def unapply(app: AppUse, values: Mapping[str, Scalar]) -> None:
    """The next run has these settings as they are now; says why where that does not go with the rest."""
    change(app, lambda draft: _reset(draft, values))


def undo(app: AppUse) -> None:
    """Takes back the last change of the next run."""
    change(app, lambda draft: draft.undo())


def taken(app: ShownRuns) -> dict[str, Scalar]:
    """What the next run has besides what is in use, by path; what is taken away is left out."""
    draft = draft_editor(app).draft
    values = draft.values() if draft is not None and draft.layers != Layers() else {}
    return {path: value for path, value in values.items() if value is not None}


def difference(app: ShownRuns) -> str:
    """The same as it would stand in the configuration file, with what it was before."""
    look(app)
    draft = draft_editor(app).draft
    return diff_as_toml(draft.diff()) if draft is not None else ""


def _reset(draft: Draft, values: Mapping[str, Scalar]) -> Draft:
    for path in values:
        draft = draft.reset(path)
    return draft
