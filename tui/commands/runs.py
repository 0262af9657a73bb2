"""speedtui runs"""

from __future__ import annotations

import click

from speedtui.engine.clean import clean, cleaned, pad, width_of
from speedtui.engine.errors import ExitCode
from speedtui.engine.output import say, say_json
from speedtui.engine.report.listing import RunEntry, list_entries
from speedtui.engine.runs import UNKNOWN
from speedtui.engine.state import RunStatus
from speedtui.engine.units import format_span
from speedtui.engine.workload.cache import cache_folder
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.commands.progress import ProgressLine
from speedtui.tui.streams import require_printed


@click.command("runs")
@common_options
def command(common: Common) -> ExitCode:
    """List the runs, the newest first."""
    entries = list_entries(common.runs, ProgressLine("the runs", silent=common.quiet), kept=cache_folder("runs"))
    if common.json:
        for entry in entries:
            say_json(entry)
    elif not entries:
        say(clean(f"No runs in {common.runs}. Start one with `speedtui tune` or `speedtui demo`."))
    else:
        say(_table(entries))
    require_printed()
    return ExitCode.DONE


def _result(entry: RunEntry) -> str:
    unknown = UNKNOWN if entry.state == RunStatus.UNKNOWN else ""
    return "; ".join(part for part in (entry.result, unknown, entry.passed_over) if part)


def _table(entries: list[RunEntry]) -> str:
    rows = [("run", "job", "state", "lasted", "result")]
    rows += [(x.run, x.job, x.state, format_span(x.seconds), _result(x)) for x in map(cleaned, entries)]
    widths = [max(width_of(row[i]) for row in rows) for i in range(5)]
    return "\n".join("  ".join(pad(c, w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)
