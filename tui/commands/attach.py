"""speedtui attach"""

from __future__ import annotations

import click

from speedtui.engine.errors import ExitCode
from speedtui.engine.runs import find_run, list_runs
from speedtui.engine.session.attached import AttachedSession
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, Output, common_options
from speedtui.tui.options import ScreenOptions


@click.command("attach")
@common_options
@click.argument("run", required=False)
def command(common: Common, run: str | None) -> ExitCode:
    """Open the screen on a run that is going on; without RUN on the newest one that is alive."""
    alive = next((folder for folder in list_runs(common.runs) if folder.worker_alive()), None)
    folder = alive if run is None and alive is not None else find_run(common.runs, run)
    screen = ScreenOptions(read_only=not folder.worker_alive()) if common.output is Output.SCREEN else None
    return follow(AttachedSession(folder), common, screen=screen)
