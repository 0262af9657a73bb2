"""speedtui attach"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from speedtui.engine.errors import ExitCode
from speedtui.engine.runs import RunFolder, find_run, list_runs
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.base import Session
from speedtui.engine.trust import mine
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, Output, common_options, screen_options
from speedtui.tui.commands.screen import training_screen


@click.command("attach")
@common_options
@screen_options
@click.argument("run", required=False)
def command(common: Common, run: str | None) -> ExitCode:
    """Open the screen on a run that is going on; without RUN on the newest of your own that is alive.

    Where several are, the list of runs opens with it, to choose from; 5 opens it again.
    """
    alive = (
        [folder for folder in list_runs(common.runs) if mine(folder.path) and folder.goes_on()] if run is None else []
    )
    folder = alive[0] if alive else find_run(common.runs, run)
    started: list[Session] = []
    screen = None
    if common.output is Output.SCREEN:
        screen = msgspec.structs.replace(
            training_screen(common, "process", started), read_only=folder.goes_on() is False or bool(folder.flaw()),
            runs=_runs_of(folder, common),
            choose=len(alive) > 1,
        )  # fmt: skip
    return follow(AttachedSession(folder), common, screen=screen, started=started)


def _runs_of(folder: RunFolder, common: Common) -> Path:
    """The folder to choose other runs from: where this one is, if it was named by a path."""
    return common.runs if common.runs.is_dir() else folder.path.parent
