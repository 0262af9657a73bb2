"""A training with a trial's settings, from the command line and from the screen."""

from __future__ import annotations

from speedtui.engine.config.settings import Settings
from speedtui.engine.report.lookup import FoundTrial
from speedtui.engine.report.trial_figures import Figures, in_force, settings_measured
from speedtui.engine.session.base import Session
from speedtui.engine.session.start import StartOptions, start_training


def start_of_trial(found: FoundTrial, settings: Settings, options: StartOptions) -> Session:
    """Starts it called as the trial is, with what that measured as far as it holds for `settings`."""
    figures = Figures(estimate=found.estimate, step_seconds=found.step_seconds, alternatives=found.alternatives)
    figures = figures.that_count(settings_measured(found.config, found.values), settings)
    return start_training(
        settings,
        options,
        named=found.values,
        trial=found.trial if in_force(found.values, settings) else None,
        estimate=figures.estimate,
        step_seconds=figures.step_seconds,
        alternatives=figures.alternatives,
    )
