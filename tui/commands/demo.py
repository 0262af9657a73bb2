"""speedtui demo"""

from __future__ import annotations

import click
import msgspec

from speedtui.engine.demo.prepare import demo_settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.search.start_list import COUNTS
from speedtui.engine.session.start import start_study
from speedtui.engine.workload.cache import cache_folder
from speedtui.tui.commands.options import Common, common_options, engine_option, screen_options
from speedtui.tui.commands.screen import show
from speedtui.tui.commands.starting import start_options


@click.command("demo")
@common_options
@screen_options
@engine_option
@click.option(
    "--mode", type=click.Choice([*COUNTS, "auto"]), default="quick", show_default=True, help="How much is tried."
)
def command(common: Common, engine: str, mode: str) -> ExitCode:
    """Tune and train a tiny built-in model; needs no download."""
    return run_demo(common, engine, mode)


def run_demo(common: Common, engine: str, mode: str, *, said: tuple[str, ...] = ()) -> ExitCode:
    """Starts the demo and shows it; `said`: what the screen says when it opens."""
    settings = demo_settings(cache_folder("demo"))
    search = msgspec.structs.replace(settings.search, mode=mode)
    session = start_study(msgspec.structs.replace(settings, search=search), start_options(common, engine), job="demo")
    return show(session, common, engine, warnings=said)
