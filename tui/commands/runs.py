"""speedtui runs"""

from __future__ import annotations

import click
import msgspec

from speedtui.engine.errors import ExitCode
from speedtui.engine.report.listing import RunEntry, list_entries
from speedtui.engine.units import format_span
from speedtui.tui.commands.options import Common, common_options


@click.command("runs")
@common_options
def command(common: Common) -> ExitCode:
    """List the runs, the newest first."""
    entries = list_entries(common.runs)
    if common.json:
        for entry in entries:
            click.echo(msgspec.json.encode(entry))
    elif not entries:
        click.echo(f"No runs in {common.runs}. Start one with `speedtui tune` or `speedtui demo`.")
    else:
        click.echo(_table(entries))
    return ExitCode.DONE


def _table(entries: list[RunEntry]) -> str:
    rows = [("run", "job", "state", "lasted", "result")]
    rows += [(x.run, x.job, x.state, format_span(x.seconds), x.result) for x in entries]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
