"""All runs in a list, to look at one or to attach to it."""

from __future__ import annotations

from speedtui.engine.log.run_summary import RunSummary
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.protocols import AppUse
from speedtui.tui.screens.runs import RunsScreen


def choose_run(app: AppUse) -> None:
    """Shows the list; the one chosen comes to the front."""
    if app.options.runs is None:
        app.notify("Only this run is shown here; `speedtui runs` lists the others.", severity="warning")
        return

    def chosen(summary: RunSummary | None) -> None:
        if summary is not None:
            show_run(app, summary)

    app.push_screen(RunsScreen(app.runs, app.options.runs, app.options.clock), chosen)


def show_run(app: AppUse, summary: RunSummary) -> None:
    """Brings a run to the front; attached to, where it is not open yet."""
    following = app.runs.opened(summary.folder)
    if following is not None:
        app.runs.bring(following)
    else:
        app.runs.add(AttachedSession(summary.folder), read_only=summary.alive is False or bool(summary.folder.flaw()))
    app.switch_mode("trials" if summary.state.job == "tune" else "monitor")
    app.drawing.now()
