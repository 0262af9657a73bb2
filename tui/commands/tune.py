"""speedtui tune"""

from __future__ import annotations

from pathlib import Path

import click

from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.session.start import start_study
from speedtui.tui.commands.options import Common, Output, common_options, engine_option, screen_options, typed
from speedtui.tui.commands.screen import show
from speedtui.tui.commands.starting import start_options


@click.command("tune")
@common_options
@screen_options
@engine_option
@click.option("--mode", help="minimal (4 candidates), quick (8), thorough (16), or auto: a search.")
@click.option("--configs", type=click.Path(path_type=Path), help="Your own list of candidates, JSON or TOML.")
@click.option("--batches", type=int, help="Micro-batches measured a trial.")
@click.option("--budget", help="No trial is started after this much time, such as 30m.")
@click.option("--memory-limit", help="What a trial may use, such as 24GiB; made real.")
def command(
    common: Common, engine: str, mode: str | None, configs: Path | None, batches: int | None, budget: str | None,
    memory_limit: str | None,
) -> ExitCode:  # fmt: skip
    """Try configurations on the loaded model and say which runs fastest and fits."""
    flags = typed(
        search__mode=mode,
        search__configs=str(configs.resolve()) if configs is not None else None,
        search__batches=batches,
        search__budget=budget,
        search__memory_limit=memory_limit,
    )
    settings = load_settings(common.config, flags)
    session = start_study(settings, start_options(common, engine, hold=common.output is Output.SCREEN))
    return show(session, common, engine, start_screen="trials")
