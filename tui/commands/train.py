"""speedtui train"""

from __future__ import annotations

from datetime import datetime

import click
from click.core import ParameterSource

from speedtui.engine.config.load import load_settings
from speedtui.engine.config.window import resolve_window
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.report.lookup import find_trial
from speedtui.engine.runs import find_run
from speedtui.engine.search.candidates import label
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import resume_training, start_training
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, common_options, engine_option, typed
from speedtui.tui.commands.starting import start_options


@click.command("train")
@common_options
@engine_option
@click.option("--trial", help="Settings of a trial: RUN#ID, or ID in the newest study.")
@click.option("--window", help="The time there is, such as 12h.")
@click.option("--deadline", help="When it has to be done, such as 18:40.")
@click.option("--margin", help="To be left of the window, such as 30m.")
@click.option("--resume", metavar="RUN", help="Go on with a training from its last checkpoint.")
def command(
    common: Common, engine: str, trial: str | None, window: str | None, deadline: str | None, margin: str | None,
    resume: str | None,
) -> ExitCode:  # fmt: skip
    """Train, with the configuration as it is or with a trial's settings."""
    flags: dict[str, str | None] = typed(window__length=window, window__deadline=deadline, window__margin=margin)
    if resume is not None:
        if flags or trial is not None:
            raise UsageError("--resume goes on with the run as it was", "Leave out --trial, --window and the like.")
        return follow(resume_training(find_run(common.runs, resume), start_options(common, engine)), common)
    if (window is None) != (deadline is None):  # the one that was typed takes the place of the other in the file
        flags["window.deadline" if deadline is None else "window.length"] = None
    return follow(_start(common, engine, trial, flags), common)


def _start(common: Common, engine: str, trial: str | None, flags: dict[str, str | None]) -> Session:
    found = find_trial(common.runs, trial) if trial is not None else None
    typed_config = click.get_current_context().get_parameter_source("config") is ParameterSource.COMMANDLINE
    of_trial = found.values if found is not None and not typed_config else {}
    source = found.config if found is not None and not typed_config else common.config
    settings = load_settings(source, {**of_trial, **flags})
    if flags:
        resolve_window(settings.window, datetime.now().astimezone(), "command line")  # refuses what was typed
    return start_training(
        settings,
        start_options(common, engine, where=str(source)),
        label=found.label if found is not None else label(settings, {}),
        trial=found.trial if found is not None else None,
        estimate_seconds=found.full_run_seconds if found is not None else None,
    )
