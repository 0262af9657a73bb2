"""All runs in a list, to look at one or to attach to it."""

from __future__ import annotations

from speedtui.engine.log.run_summary import RunSummary
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.protocols import AppUse


def choose_run(app: AppUse) -> None:
    """Shows the list; the one chosen comes to the front."""
    from speedtui.tui.screens.runs import RunsScreen

    if app.options.runs is None:
        app.notify("Only this run is shown here; `speedtui runs` lists the others.", severity="warning")
        return

    def chosen(glance: RunSummary | None) -> None:
        if glance is not None:
            show_run(app, glance)

    app.push_screen(RunsScreen(app.fleet, app.options.runs, app.options.clock), chosen)


def show_run(app: AppUse, glance: RunSummary) -> None:
    """Brings a run to the front; attached to, where it is not open yet."""
    following = app.fleet.opened(glance.folder)
    if following is not None:
        app.fleet.bring(following)
    else:
        app.fleet.add(AttachedSession(glance.folder), read_only=glance.alive is False or bool(glance.folder.flaw()))
    app.switch_mode("trials" if glance.state.job == "tune" else "monitor")
    app.draw_now()
