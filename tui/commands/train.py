"""speedtui train"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from speedtui.engine.config.live import live_values
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, Settings, WindowSettings
from speedtui.engine.config.window import resolve_window
from speedtui.engine.config.zone import LOCAL
from speedtui.engine.errors import ConfigError, ExitCode, UsageError
from speedtui.engine.profile.apply import apply_profile, written_paths
from speedtui.engine.profile.load import find_profile
from speedtui.engine.report.lookup import FoundPlan, FoundStage, FoundTrial, find_plan, find_stage, find_trial
from speedtui.engine.report.present import present_settings
from speedtui.engine.report.trial_figures import Figures, laid_over_any, settings_measured
from speedtui.engine.runs import find_run
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import StartOptions, resume_training, start_training
from speedtui.tui.commands.options import Common, common_options, engine_option, screen_options
from speedtui.tui.commands.progress import say_passed_over
from speedtui.tui.commands.screen import show
from speedtui.tui.commands.starting import start_measured, start_of_trial, start_options
from speedtui.tui.commands.window import refuse_bad_window, window_flags, window_options

RATE = "train.learning_rate"
TYPED = "command line"
TYPED_NAMES = {"data.train": "--data", "data.eval": "--eval", "train.epochs": "--epochs"}
"""Options of this command that are settings, by path."""
NO_WINDOW: dict[str, Any] = {"window.length": None, "window.deadline": None, "window.margin": "0s"}
"""The time that an earlier run had is not the next one's."""


@click.command("train")
@common_options
@screen_options
@engine_option
@window_options
@click.option("--trial", help="Settings of a trial: RUN#ID, or ID in the newest study.")
@click.option("--profile", metavar="NAME", help="Settings of a profile, laid over the configuration's.")
@click.option("--plan", metavar="RUN", help="Settings of a plan, with what was given up in it.")
@click.option(
    "--from", "stage", metavar="RUN", help="A second stage: RUN's settings but its window, beginning with RUN's model."
)
@click.option("--data", type=click.Path(path_type=Path), help="Train on this file instead.")
@click.option("--eval", "evaluated", type=click.Path(path_type=Path), help="Evaluate on this file instead.")
@click.option("--epochs", type=float, help="So many epochs instead.")
@click.option("--learning-rate", type=float, metavar="RATE", help="This learning rate instead; also with --resume.")
@click.option("--resume", metavar="RUN", help="Go on with a training from its last checkpoint.")
@click.option(
    "--restarts", type=click.IntRange(min=0), default=0, metavar="N",
    help="Start a worker that died again from the last checkpoint, at most N times in a row.",
)  # fmt: skip
def command(
    common: Common, engine: str, trial: str | None, profile: str | None, plan: str | None, stage: str | None,
    data: Path | None, evaluated: Path | None, epochs: float | None, window: str | None, deadline: str | None,
    margin: str | None, learning_rate: float | None, resume: str | None, restarts: int,
) -> ExitCode:  # fmt: skip
    """Train, with the configuration as it is or with the settings of a trial, a profile, a plan or an earlier run."""
    times = window_flags(window, deadline, margin)
    other = _other_data(data, evaluated, epochs)
    rate: dict[str, Any] = {RATE: learning_rate} if learning_rate is not None else {}
    sources = {"--trial": trial, "--profile": profile, "--plan": plan, "--from": stage}
    given = [name for name, value in sources.items() if value]
    options = start_options(common, engine, restarts=restarts)
    if resume is not None:
        given += ["--config"] if _config_typed() else []
        if given or other:
            raise UsageError(
                "--resume goes on with the run as it was", f"Leave out {', '.join([*given, *_typed_names(other)])}."
            )
        return show(_resumed(common, options, resume, times, rate), common, engine)
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other", "Each brings its own settings; take one.")
    flags = {**times, **other, **rate}
    if plan is not None:
        return show(_as_planned(common, options, plan, flags), common, engine)
    if stage is not None:
        return show(_next_stage(common, options, stage, flags), common, engine)
    if trial is not None:
        return show(_of_trial(common, options, trial, flags), common, engine)
    return show(_start(common, options, profile, flags), common, engine)


def _other_data(data: Path | None, evaluated: Path | None, epochs: float | None) -> dict[str, Any]:
    """Settings by path of what was typed; epochs that were typed take the place of a number of steps."""
    flags: dict[str, Any] = {}
    if data is not None:
        flags["data.train"] = str(data.resolve())
    if evaluated is not None:
        flags["data.eval"] = str(evaluated.resolve())
    if epochs is not None:
        flags |= {"train.epochs": epochs, "train.max_steps": None}
    return flags


def _typed_names(flags: dict[str, Any]) -> list[str]:
    return [TYPED_NAMES[path] for path in flags if path in TYPED_NAMES]


def _resumed(
    common: Common, options: StartOptions, run: str, times: dict[str, str | None], rate: dict[str, Scalar]
) -> Session:  # fmt: skip
    folder = find_run(common.runs, run)
    folder.require_obeyed()
    changes = live_values(rate.items(), present_settings(folder), TYPED) if rate else {}
    if not times:
        return resume_training(folder, options, changes=changes)
    if times.keys() == {"window.margin"}:
        raise UsageError("--margin alone gives a run that goes on no time", "Type --window or --deadline with it.")
    window = WindowSettings(
        length=times.get("window.length"),
        deadline=times.get("window.deadline"),
        margin=times.get("window.margin") or "0s",
    )  # fmt: skip
    refuse_bad_window(Settings(window=window), times)
    return resume_training(folder, options, window, changes)


def _start(common: Common, options: StartOptions, profile: str | None, flags: dict[str, Any]) -> Session:
    settings = _load(common.config, flags)
    if profile is not None:
        settings = _with_profile(settings, profile, written_paths(common.config), flags)
    return start_training(settings, _options_for(options, common.config), profile=profile)


def _of_trial(common: Common, options: StartOptions, trial: str, flags: dict[str, Any]) -> Session:
    """The trial's settings, laid over the file that was typed or else over the study's own."""
    found = find_trial(common.runs, trial)
    source = _source(common, found)
    measured = settings_measured(found.config, found.values)
    settings = _load(source, {**laid_over_any(found.values, measured), **flags})
    _require_time(settings, source, common)
    return start_of_trial(found, settings, _options_for(options, source))


def _with_profile(settings: Settings, profile: str, written: Collection[str], flags: dict[str, Any]) -> Settings:
    """The profile laid over the configuration, and what was typed over both."""
    return with_values(apply_profile(settings, find_profile(profile), written).settings, flags, TYPED)


def _as_planned(common: Common, options: StartOptions, plan: str, flags: dict[str, Any]) -> Session:
    """What the plan makes of its configuration, made of the file that was typed."""
    found = find_plan(common.runs, plan)
    source = _source(common, found)
    row, measured = found.row, settings_measured(found.config, {})
    settings = _load(source, {**laid_over_any(row.values, measured), **flags})
    _require_time(settings, source, common)
    figures = Figures(estimate=row.estimate, step_seconds=row.step_seconds, alternatives=found.alternatives)
    return start_measured(settings, _options_for(options, source), figures, measured, profile=row.profile)


def _next_stage(common: Common, options: StartOptions, stage: str, flags: dict[str, Any]) -> Session:
    found = find_stage(common.runs, stage)
    source = _source(common, found)
    settings = _load(source, {**({} if _config_typed() else NO_WINDOW), **found.values, **flags})
    return start_training(settings, _options_for(options, source))


def _source(common: Common, found: FoundTrial | FoundPlan | FoundStage) -> Path:
    """The file that was typed, or else what is found's own; what was passed over in its log is said."""
    say_passed_over(found.passed_over)
    return common.config if _config_typed() else found.config


def _load(source: Path, flags: dict[str, Any]) -> Settings:
    settings = load_settings(source, flags)
    refuse_bad_window(settings, {path: value for path, value in flags.items() if path.startswith("window.")})
    return settings


def _require_time(settings: Settings, source: Path, common: Common) -> None:
    """Where the settings are an earlier run's, its deadline may be over.

    Raises:
        ConfigError: it is.
    """
    if source == common.config:
        return
    try:
        resolve_window(settings.window, datetime.now(LOCAL), str(source))
    except ConfigError as error:
        raise ConfigError(error.message, "Give this run a time of its own: --window 2h or --deadline 18:40.") from None


def _options_for(options: StartOptions, source: Path) -> StartOptions:
    """The same, with the file that the settings come from for messages."""
    return msgspec.structs.replace(options, where=str(source))


def _config_typed() -> bool:
    return click.get_current_context().get_parameter_source("config") is ParameterSource.COMMANDLINE
