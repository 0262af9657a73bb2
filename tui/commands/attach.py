"""speedtui attach"""

from __future__ import annotations

import click

from speedtui.engine.errors import ExitCode
from speedtui.engine.runs import find_run, list_runs
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.trust import mine
from speedtui.tui.commands.options import Common, common_options, screen_options
from speedtui.tui.commands.screen import show


@click.command("attach")
@common_options
@screen_options
@click.argument("run", required=False)
def command(common: Common, run: str | None) -> ExitCode:
    """Open the screen on a run that is going on; without RUN on the newest of your own that is alive.

    Where several are, the list of runs opens with it, to choose from; 5 opens it again.
    """
    own = [folder for folder in list_runs(common.runs) if mine(folder.path)] if run is None else []
    alive = [folder for folder in own if folder.goes_on()]
    folder = alive[0] if alive else find_run(common.runs, run)
    over = folder.goes_on() is False or bool(folder.flaw())
    others = common.runs if common.runs.is_dir() else folder.path.parent  # where it is, if it was named by a path
    return show(AttachedSession(folder), common, "process", read_only=over, runs=others, choose=len(alive) > 1)
