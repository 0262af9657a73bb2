"""speedtui doctor"""

from __future__ import annotations

import click
import msgspec

from speedtui.engine.doctor import render, run_checks
from speedtui.engine.errors import ExitCode
from speedtui.tui.commands.options import Common, common_options


@click.command("doctor")
@common_options
def command(common: Common) -> ExitCode:
    """Check the device, the driver, the versions, the disk and the terminal."""
    checks = run_checks(common.runs)
    if common.json:
        for check in checks:
            click.echo(msgspec.json.encode(check))
    else:
        click.echo(render(checks))
    return ExitCode.DONE
