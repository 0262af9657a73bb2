"""A trial by the name a person gives it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Scalar
from speedtui.engine.errors import RunFolderError
from speedtui.engine.log.tail import read_events
from speedtui.engine.planned import ProfileRow
from speedtui.engine.report.promote import CONFIG_NAME
from speedtui.engine.runs import RunFolder, find_run, list_runs
from speedtui.engine.state import fold


class FoundTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a training takes over from a trial."""

    config: Path
    """The study's configuration."""
    trial: int
    values: dict[str, Scalar]
    label: str
    estimate: Estimate | None


def find_trial(runs: Path, name: str) -> FoundTrial:
    """The trial called RUN#ID, or ID in the newest study.

    Raises:
        RunFolderError: there is no such run or no such trial in it.
    """
    run, _, number = name.rpartition("#")
    folder = find_run(runs, run) if run else _newest_study(runs)
    study = fold(read_events(folder.events)).study
    row = study.row(int(number)) if study is not None and number.isdigit() else None
    if row is None:
        known = ", ".join(f"#{r.candidate.id}" for r in study.rows) if study is not None else "none"
        raise RunFolderError(f"--trial {name}: no such trial in run {folder.id}", f"It has: {known}.")
    return FoundTrial(
        config=folder.config,
        trial=row.candidate.id,
        values=row.candidate.values,
        label=row.candidate.label,
        estimate=row.result.estimate if row.result is not None else None,
    )


class FoundPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a training takes over from a plan."""

    config: Path
    """The selected profile's settings, with what was given up."""
    row: ProfileRow


def find_plan(runs: Path, name: str) -> FoundPlan:
    """The plan of a run.

    Raises:
        RunFolderError: there is no such run, or it made no plan that can be trained with.
    """
    folder = find_run(runs, name)
    plan = fold(read_events(folder.events)).plan
    row, config = plan.row if plan is not None else None, folder.path / CONFIG_NAME
    if row is None or not config.exists():
        raise RunFolderError(f"--plan {name}: run {folder.id} made no plan to train with", "Run `speedtui plan` first.")
    return FoundPlan(config=config, row=row)


def _newest_study(runs: Path) -> RunFolder:
    for folder in list_runs(runs):
        if fold(read_events(folder.events)).study is not None:
            return folder
    raise RunFolderError(f"{runs}: no study here", "Run `speedtui tune` first.")
