"""A study's trials as trials.csv and trials.json, written from what the screen knows."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.export.base import default_folder
from speedtui.engine.export.csv import TRIALS, trial_row, write_rows
from speedtui.engine.files import make_folder
from speedtui.engine.report.files import TRIALS_NAME, trial_entry, write_json
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, TrialRow


def write_trials(folder: RunFolder, run: RunState, rows: list[TrialRow]) -> list[Path]:
    """Both files at the places where the study itself and `speedtui export` put them; returns their paths.

    `rows`: those to be written, in their order. A file of an earlier export is replaced as a whole.

    Raises:
        OSError: the run's folder cannot be written.
        ConfigError: the run's configuration is of another version.
    """
    folder.require_obeyed()
    settings = recorded_settings(run.config, "the run's configuration") if run.config else Settings()
    tables = default_folder(folder, "csv")
    table, document = tables / TRIALS, folder.path / TRIALS_NAME
    write_json(document, [_entry(trial, settings, run) for trial in rows])  # first: a run's folder is not made here
    make_folder(tables)
    write_rows(table, [{**trial_row(trial.candidate, trial.result), "status": trial.status.value} for trial in rows])
    return [table, document]


def _entry(trial: TrialRow, settings: Settings, run: RunState) -> dict[str, object]:
    entry = trial_entry(trial.candidate, trial.result, settings, run.window, run.now)
    return {**entry, "status": trial.status.value, "values": msgspec.to_builtins(trial.candidate.values)}
