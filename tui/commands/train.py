"""speedtui train"""

from __future__ import annotations

import click
from click.core import ParameterSource

from speedtui.engine.config.load import load_settings
from speedtui.engine.errors import ExitCode, UsageError
from speedtui.engine.profile.apply import apply_profile, written_paths
from speedtui.engine.profile.load import find_profile
from speedtui.engine.report.lookup import find_plan, find_trial
from speedtui.engine.runs import find_run
from speedtui.engine.search.candidates import label
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import resume_training, start_training
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common, common_options, engine_option
from speedtui.tui.commands.starting import start_options
from speedtui.tui.commands.window import refuse_bad_window, window_flags, window_options


@click.command("train")
@common_options
@engine_option
@window_options
@click.option("--trial", help="Settings of a trial: RUN#ID, or ID in the newest study.")
@click.option("--profile", metavar="NAME", help="Settings of a profile, laid over the configuration's.")
@click.option("--plan", metavar="RUN", help="Settings of a plan, with what was given up in it.")
@click.option("--resume", metavar="RUN", help="Go on with a training from its last checkpoint.")
def command(
    common: Common, engine: str, trial: str | None, profile: str | None, plan: str | None, window: str | None,
    deadline: str | None, margin: str | None, resume: str | None,
) -> ExitCode:  # fmt: skip
    """Train, with the configuration as it is or with the settings of a trial, a profile or a plan."""
    flags = window_flags(window, deadline, margin)
    sources = [name for name, value in (("--trial", trial), ("--profile", profile), ("--plan", plan)) if value]
    if resume is not None:
        if flags or sources:
            raise UsageError("--resume goes on with the run as it was", "Leave out --trial, --window and the like.")
        return follow(resume_training(find_run(common.runs, resume), start_options(common, engine)), common)
    if len(sources) > 1:
        raise UsageError(f"{' and '.join(sources)} exclude each other", "Each brings its own settings; take one.")
    if plan is not None:
        return follow(_as_planned(common, engine, plan, flags), common)
    return follow(_start(common, engine, trial, profile, flags), common)


def _start(
    common: Common, engine: str, trial: str | None, profile: str | None, flags: dict[str, str | None]
) -> Session:  # fmt: skip
    found = find_trial(common.runs, trial) if trial is not None else None
    of_trial = found.values if found is not None and not _config_typed() else {}
    source = found.config if found is not None and not _config_typed() else common.config
    settings = load_settings(source, {**of_trial, **flags})
    refuse_bad_window(settings, flags)
    if profile is not None:
        settings = apply_profile(settings, find_profile(profile), written_paths(common.config)).settings
    estimate = found.estimate if found is not None else None
    return start_training(
        settings,
        start_options(common, engine, where=str(source)),
        label=found.label if found is not None else label(settings, {}),
        trial=found.trial if found is not None else None,
        profile=profile,
        estimate=estimate,
    )


def _as_planned(common: Common, engine: str, plan: str, flags: dict[str, str | None]) -> Session:
    found = find_plan(common.runs, plan)
    source = common.config if _config_typed() else found.config
    settings = load_settings(source, flags)
    refuse_bad_window(settings, flags)
    return start_training(
        settings,
        start_options(common, engine, where=str(source)),
        label=label(settings, {}),
        profile=found.row.profile,
        estimate=found.row.estimate,
    )


def _config_typed() -> bool:
    return click.get_current_context().get_parameter_source("config") is ParameterSource.COMMANDLINE
