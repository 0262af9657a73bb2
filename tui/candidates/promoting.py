"""A trial's settings for the next training: the worker writes them, or this screen where the study is over."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.clean import as_typed
from speedtui.engine.commands import Promote
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.context.order import read_order
from speedtui.engine.errors import RunFolderError, SpeedtuiError
from speedtui.engine.report.promote import SCRIPT_NAME, write_promoted
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, RunStatus, TrialRow
from speedtui.tui.commands.starting import program
from speedtui.tui.options import TrainingStart
from speedtui.tui.protocols import AppUse, ShownRuns

USUAL_RUNS = "runs"
"""Where runs are when no command says otherwise."""


def study_over(app: ShownRuns) -> bool:
    """Whether no worker is there to be asked."""
    status = app.study.state().status
    return app.study.read_only or app.study.ended or status in (RunStatus.FINISHED, RunStatus.LOST)


def promote(app: AppUse, trial: TrialRow, *, train: bool) -> None:
    """Makes the settings those of the next training, and starts that where it is asked for."""
    number = trial.candidate.id
    if not study_over(app):
        if app.commands.send(Promote(trial=number), study=True) and train:
            app.notices.await_promotion(app.study, number)
        return
    try:
        file = write_finished(app.study.session.folder, app.study.state(), trial)
    except (SpeedtuiError, OSError) as error:
        app.notify(f"#{number} cannot be promoted: {error}", severity="error")
        return
    if train:
        app.commands.train(TrainingStart(config_file=str(file), trial=number))
    else:
        app.notify(f"#{number} promoted. Train with it: {file.with_name(SCRIPT_NAME)}")


def write_finished(folder: RunFolder, run: RunState, trial: TrialRow) -> Path:
    """train.toml and train.sh of a trial of a study that is over; returns the path of the former.

    Raises:
        RunFolderError: there is no run folder behind what is shown, as with a recording.
        ConfigError: the run's configuration is of another version.
        OSError: no room or no permission.
    """
    folder.require_obeyed()
    try:
        order = read_order(folder)
    except (OSError, msgspec.DecodeError):
        raise RunFolderError(
            f"{folder.path} has no job.json: this is a recording without its run folder",
            "y copies the command that trains with it.",
        ) from None
    return write_promoted(folder, recorded_settings(run.config, "the run's configuration"), order, trial.candidate)


def train_command(folder: RunFolder, run: RunState, trial: TrialRow) -> str:
    """The shell command that trains with a trial; with --runs where the runs are not where they usually are."""
    runs = folder.path.resolve().parent
    where = [] if runs == Path(USUAL_RUNS).resolve() else ["--runs", str(runs)]
    name = run.run or folder.id
    return as_typed([*program(), "train", *where, "--trial", f"{name}#{trial.candidate.id}"])
