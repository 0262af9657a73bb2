"""speedtui train"""

from __future__ import annotations

import click
from click.core import ParameterSource

from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.report.lookup import find_trial
from speedtui.engine.runs import find_run
from speedtui.engine.search.candidates import label
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import resume_training, start_training
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, common_options, engine_option, start_options, typed


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
    if resume is not None:
        return follow(resume_training(find_run(common.runs, resume), start_options(common, engine)), common)
    flags = typed(window__length=window, window__deadline=deadline, window__margin=margin)
    return follow(_start(common, engine, trial, flags), common)


def _start(common: Common, engine: str, trial: str | None, flags: dict[str, str]) -> Session:
    found = find_trial(common.runs, trial) if trial is not None else None
    typed_config = click.get_current_context().get_parameter_source("config") is ParameterSource.COMMANDLINE
    if found is not None and not typed_config:
        settings = load_settings(found.config, {**found.values, **flags})
    else:
        settings = load_settings(common.config, flags)
    return start_training(
        settings,
        start_options(common, engine),
        label=found.label if found is not None else label(settings, {}),
        trial=found.trial if found is not None else None,
        estimate_seconds=found.full_run_seconds if found is not None else None,
    )
