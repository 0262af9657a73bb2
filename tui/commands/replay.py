"""speedtui replay"""

from __future__ import annotations

import click

from speedtui.engine.errors import ExitCode
from speedtui.engine.runs import find_run
from speedtui.engine.session.replay import ReplaySession
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, common_options
from speedtui.tui.options import ScreenOptions


@click.command("replay")
@common_options
@click.argument("run")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    default=10.0,
    show_default=True,
    help="Times the pace it went.",
)
@click.option(
    "--rate", type=click.FloatRange(min=0.2, max=10), default=2.0, show_default=True, help="Redraws a second."
)
def command(common: Common, run: str, speed: float, rate: float) -> ExitCode:
    """Show a recorded run again: RUN is its id, the beginning of it, or its folder."""
    session = ReplaySession(find_run(common.runs, run), speed)
    follow(session, common, screen=ScreenOptions(read_only=True, rate_hz=rate))
    return ExitCode.DONE
