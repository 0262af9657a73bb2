"""How a run is started from a command line; apart from the other options, since looking at a run needs none of it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from speedtui.engine.config.settings import Settings
from speedtui.engine.context.order import PlanOrder
from speedtui.engine.errors import ConfigError
from speedtui.engine.profile.apply import written_paths
from speedtui.engine.report.lookup import FoundTrial
from speedtui.engine.report.trial_figures import Figures, in_force, settings_measured
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import StartOptions, start_plan, start_training
from speedtui.engine.trust import trusted_arguments
from speedtui.tui.commands.options import Common


def start_options(
    common: Common, engine: str, *, where: str | None = None, queued: bool = True, hold: bool = False, restarts: int = 0
) -> StartOptions:
    """How a run is started from this command line; `where`: what its settings come from, by default --config."""
    return StartOptions(
        runs=common.runs,
        where=where if where is not None else str(common.config),
        train_command=[*program(), "train", "--runs", str(common.runs.resolve()), *trusted_arguments()],
        in_thread=engine == "thread",
        restarts=restarts,
        queued=queued,
        hold=hold,
    )


def start_measured(
    settings: Settings, options: StartOptions, figures: Figures, measured: Settings | None, **more: Any
) -> Session:  # fmt: skip
    """Starts a training with the figures that hold for `settings`; `measured`: the settings that they are of, None
    where these are not known."""
    figures = figures.that_count(measured, settings)
    return start_training(
        settings, options, estimate=figures.estimate, step_seconds=figures.step_seconds,
        alternatives=figures.alternatives, **more,
    )  # fmt: skip


def start_of_trial(found: FoundTrial, settings: Settings, options: StartOptions) -> Session:
    """Starts a training that is called as the trial is."""
    figures = Figures(estimate=found.estimate, step_seconds=found.step_seconds, alternatives=found.alternatives)
    trial = found.trial if in_force(found.values, settings) else None
    measured = settings_measured(found.config, found.values)
    return start_measured(settings, options, figures, measured, named=found.values, trial=trial)


def plan_settings(common: Common, settings: Settings, *, measure: bool) -> Session:
    """Plans for these settings in a process of its own.

    Raises:
        SpeedtuiError: it could not be started.
    """
    try:
        written = tuple(sorted(written_paths(common.config)))
    except ConfigError:  # there is no file of the user's; a run's own names everything and tells nothing
        written = ()
    order = PlanOrder(measure=measure, written=written)
    return start_plan(settings, start_options(common, "process", where="the next run"), order)


def program() -> list[str]:
    """How this program is called again: the installed script, or the module under this Python."""
    script = Path(sys.executable).with_name("speedtui")
    found = str(script) if script.exists() else shutil.which("speedtui")
    return [found] if found else [sys.executable, "-m", "speedtui.tui.cli"]
