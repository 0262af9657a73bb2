"""speedtui export"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click

from speedtui.engine.clean import clean
from speedtui.engine.config.settings import Tracker
from speedtui.engine.errors import ExitCode
from speedtui.engine.export.base import Target
from speedtui.engine.export.export import Exported, export_run
from speedtui.engine.output import say, say_json
from speedtui.engine.runs import find_run
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.commands.progress import ProgressLine, say_passed_over


@click.command("export")
@common_options
@click.argument("run", required=False)
@click.option("--to", required=True, type=click.Choice(["csv", *get_args(Tracker)]), help="Tables, or a tracker.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write to; by default the run's own."
)
def command(common: Common, run: str | None, to: Target, out: Path | None) -> ExitCode:
    """Hand a run's numbers to a tracker or write them as tables; without RUN the newest one's.

    Exporting a run again replaces what the last export left.
    """
    progress = ProgressLine(silent=common.quiet or common.json)
    exported = export_run(find_run(common.runs, run), to, out, progress)
    say_passed_over(exported.passed_over)
    if common.json:
        say_json(exported)
    elif not common.quiet:
        say("\n".join(map(clean, _lines(exported))))
    return ExitCode.DONE


def _lines(exported: Exported) -> list[str]:
    if exported.rows:
        return [f"{path}  {count} rows" for path, count in exported.rows.items()]
    step = f", up to step {exported.last_step}" if exported.last_step is not None else ""
    return [f"{exported.points} points{step}", f"Look at them: {exported.where}"]
