"""speedtui doctor"""

from __future__ import annotations

import click

from speedtui.engine.doctor import render, run_checks
from speedtui.engine.errors import ExitCode
from speedtui.engine.output import say, say_json, warn
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.streams import require_printed


@click.command("doctor")
@common_options
def command(common: Common) -> ExitCode:
    """Check the device, the driver, the versions, the disk and the terminal."""
    if not common.quiet:
        warn("asking a new process what torch sees, which takes some seconds")
    checks = run_checks(common.runs)
    if common.json:
        for check in checks:
            say_json(check)
    else:
        say(render(checks))
    require_printed()
    return ExitCode.DONE
