"""How a screen is opened: what it may start from the keyboard."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.session.base import Session
from speedtui.tui.commands.options import Common
from speedtui.tui.options import ScreenOptions, Train, TrainingStart


def study_screen(common: Common, engine: str, started: list[Session]) -> ScreenOptions:
    """Opens on the trials; a promoted trial can be trained at once, which adds its session to `started`."""
    return ScreenOptions(start_screen="trials", train=_trainer(common, engine, started))


def training_screen(common: Common, engine: str, started: list[Session]) -> ScreenOptions:
    """Opens on the Monitor; once the run is over, the next one can be started, which adds it to `started`."""
    return ScreenOptions(train=_trainer(common, engine, started))


def plan_screen(common: Common, engine: str, started: list[Session]) -> ScreenOptions:
    """Opens on the Plan; what is planned can be trained at once, which adds its session to `started`."""
    return ScreenOptions(start_screen="plan", train=_trainer(common, engine, started))


def _trainer(common: Common, engine: str, started: list[Session]) -> Train:
    def train(wanted: TrainingStart) -> Session:
        # Imported when it is needed: whoever looks at a run need not wait for what starts another.
        from speedtui.engine.config.load import load_settings
        from speedtui.engine.report.lookup import find_trial
        from speedtui.engine.session.start import start_training
        from speedtui.tui.commands.of_trial import start_of_trial
        from speedtui.tui.commands.starting import start_options

        file, options = Path(wanted.config_file), start_options(common, engine)
        settings = load_settings(file)
        if wanted.trial is not None:
            found = find_trial(file.parent.parent, f"{file.parent.name}#{wanted.trial}")
            started.append(start_of_trial(found, settings, options))
        else:
            started.append(
                start_training(
                    settings, options, profile=wanted.profile, estimate=wanted.estimate,
                    step_seconds=wanted.step_seconds,
                )
            )  # fmt: skip
        return started[-1]

    return train
