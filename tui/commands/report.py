"""speedtui report"""

from __future__ import annotations

import click

from speedtui.engine.errors import ExitCode, RunFolderError
from speedtui.engine.log.tail import read_events
from speedtui.engine.report.files import REPORT_NAME
from speedtui.engine.report.summary import summarize
from speedtui.engine.runs import find_run
from speedtui.engine.state import fold
from speedtui.tui.commands.options import Common, common_options


@click.command("report")
@common_options
@click.argument("run", required=False)
def command(common: Common, run: str | None) -> ExitCode:
    """Print what a run found and did; without RUN the newest one's. With --json its report.json."""
    folder = find_run(common.runs, run)
    if not common.json:
        click.echo(summarize(fold(read_events(folder.events))))
        return ExitCode.DONE
    try:
        click.echo((folder.path / REPORT_NAME).read_text(encoding="utf-8"), nl=False)
    except OSError:
        raise RunFolderError(f"run {folder.id} has no {REPORT_NAME} yet", "It is written at the end.") from None
    return ExitCode.DONE
