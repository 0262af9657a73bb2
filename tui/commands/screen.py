"""A session that a command shows: what may be started from its screen is waited for, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speedtui.engine.errors import ExitCode
from speedtui.engine.session.base import Session
from speedtui.tui.commands.following import follow
from speedtui.tui.commands.options import Common
from speedtui.tui.options import ScreenOptions, Train, TrainingStart


def show(session: Session, common: Common, engine: str, **options: Any) -> ExitCode:
    """Shows a session, and from its screen starts the next training; returns the exit code.

    `options`: fields of the ScreenOptions that are not as usual.
    """
    started: list[Session] = []
    screen = ScreenOptions(train=trainer(common, engine, started), **options)
    return follow(session, common, screen=screen, started=started)


def trainer(common: Common, engine: str, started: list[Session]) -> Train:
    """What starts a training; its session is added to `started`."""

    def train(wanted: TrainingStart) -> Session:
        # Imported when it is needed: whoever looks at a run need not wait for what starts another.
        from speedtui.engine.config.load import load_settings
        from speedtui.engine.report.lookup import find_trial
        from speedtui.engine.session.start import start_training
        from speedtui.tui.commands.starting import start_of_trial, start_options

        file, options = Path(wanted.config_file), start_options(common, engine)
        settings = load_settings(file)
        if wanted.trial is not None:
            found = find_trial(file.parent.parent, f"{file.parent.name}#{wanted.trial}")
            session = start_of_trial(found, settings, options)
        else:
            session = start_training(
                settings, options, profile=wanted.profile, estimate=wanted.estimate, step_seconds=wanted.step_seconds
            )
        started.append(session)
        return session

    return train
