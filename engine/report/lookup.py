"""A trial or a plan by the name a person gives it, with what it measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.candidate import Estimate, TrialResult, TrialStatus
from speedtui.engine.clean import shell_line
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.context.order import Alternative
from speedtui.engine.errors import ConfigError, RunFolderError
from speedtui.engine.log.read import read_state
from speedtui.engine.log.run_summary import read_summary
from speedtui.engine.plan_types import ProfileRow
from speedtui.engine.report.promote import CONFIG_NAME
from speedtui.engine.runs import RunFolder, find_run, list_runs
from speedtui.engine.state import RunState
from speedtui.engine.state.passed_over import PassedOver
from speedtui.engine.trust import mine

SAME_NUMBERS = (
    "train.micro_batch_size", "train.gradient_checkpointing", "train.loader_workers", "train.compile",
    "model.attention",
)  # fmt: skip
"""Settings that change how fast a step is and not what it computes, but for rounding."""
SAME_OPTIMIZERS = ("adamw_torch", "adamw_torch_fused")
"""One arithmetic, in one kernel or in several."""


class FoundTrial(msgspec.Struct, frozen=True, kw_only=True):
    """What a training takes over from a trial."""

    config: Path
    """The study's configuration."""
    trial: int
    values: dict[str, Scalar]
    estimate: Estimate | None
    step_seconds: float | None = None
    """What it measured."""
    alternatives: list[Alternative] = []
    """Other trials of the study that would train the same numbers, the fastest first."""
    passed_over: PassedOver = PassedOver()
    """Of the study's log."""


def find_trial(runs: Path, name: str) -> FoundTrial:
    """The trial called RUN#ID, or ID in the newest study.

    Raises:
        RunFolderError: there is no such run or no such trial in it.
    """
    run, _, number = name.rpartition("#")
    folder = find_run(runs, run) if run else _newest_study(runs)
    folder.require_obeyed()
    state = read_state(folder.events)
    study = state.study
    row = study.row(int(number)) if study is not None and number.isdigit() else None
    if row is None:
        known = ", ".join(f"#{r.candidate.id}" for r in study.rows) if study is not None else "none"
        raise RunFolderError(f"--trial {name}: no such trial in run {folder.id}", f"It has: {known}.")
    assert study is not None
    measured = [
        Measured(values=other.candidate.values, label=other.candidate.label, step_seconds=seconds)
        for other in study.rows
        if other is not row and (seconds := _step_seconds(other.result)) is not None
    ]
    return FoundTrial(
        config=folder.config,
        trial=row.candidate.id,
        values=row.candidate.values,
        estimate=row.result.estimate if row.result is not None else None,
        step_seconds=_step_seconds(row.result),
        alternatives=alternatives(folder.config, row.candidate.values, measured),
        passed_over=state.passed_over,
    )


class FoundPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a training takes over from a plan."""

    config: Path
    """The selected profile's settings, with what was given up."""
    row: ProfileRow
    alternatives: list[Alternative] = []
    """Other profiles, measured, that would train the same numbers, the fastest first."""
    passed_over: PassedOver = PassedOver()
    """Of the plan's log."""


def find_plan(runs: Path, name: str) -> FoundPlan:
    """The plan of a run.

    Raises:
        RunFolderError: there is no such run, or it made no plan that can be trained with.
    """
    folder = find_run(runs, name)
    folder.require_obeyed()
    state = read_state(folder.events)
    plan = state.plan
    row, config = plan.row if plan is not None else None, folder.path / CONFIG_NAME
    if row is None or not config.exists():
        raise RunFolderError(f"--plan {name}: run {folder.id} made no plan to train with", "Run `speedtui plan` first.")
    assert plan is not None
    measured = [
        Measured(values=other.values, label=other.label, step_seconds=other.step_seconds)
        for other in plan.profiles
        if other is not row and other.source == "measured" and other.step_seconds is not None
    ]
    others = alternatives(folder.config, row.values, measured)
    return FoundPlan(config=config, row=row, alternatives=others, passed_over=state.passed_over)


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Settings laid over a configuration, and what a step took with them."""

    values: Mapping[str, Scalar]
    label: str
    step_seconds: float


def alternatives(config: Path, own: Mapping[str, Scalar], others: Iterable[Measured]) -> list[Alternative]:
    """Those that train the same numbers as `own` over the same configuration, the fastest first; none where the
    configuration can no longer be read."""
    try:
        base = load_settings(config)
        mine = with_values(base, own, str(config))
        found = [(other, _differing(mine, with_values(base, other.values, str(config)), other.values, own))
                 for other in others]  # fmt: skip
    except ConfigError:
        return []
    kept = [
        Alternative(values=values, label=other.label, step_seconds=other.step_seconds)
        for other, values in found
        if values and _same_numbers(mine, values)
    ]
    return sorted(kept, key=lambda alternative: alternative.step_seconds)


def _differing(mine: Settings, theirs: Settings, *named: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """By path, theirs where they are others than mine; settings that neither names are the configuration's."""
    paths = dict.fromkeys(path for values in named for path in values)
    return {path: value_at(theirs, path) for path in paths if value_at(theirs, path) != value_at(mine, path)}


def _same_numbers(mine: Settings, values: Mapping[str, Scalar]) -> bool:
    optimizers = {mine.train.optimizer, values.get("train.optimizer", mine.train.optimizer)}
    same_optimizer = len(optimizers) == 1 or optimizers <= set(SAME_OPTIMIZERS)
    return same_optimizer and all(path in SAME_NUMBERS or path == "train.optimizer" for path in values)


def _step_seconds(result: TrialResult | None) -> float | None:
    if result is None or result.status is not TrialStatus.OK or result.measurement is None:
        return None
    return result.measurement.step_seconds


def _newest_study(runs: Path) -> RunFolder:
    for folder in list_runs(runs):
        if mine(folder.path) and read_summary(folder).state.study is not None:
            return folder
    raise RunFolderError(f"{runs}: no study here", "Run `speedtui tune` first.")


MODEL = "model"
"""The folder that a training leaves its model in."""


class FoundStage(msgspec.Struct, frozen=True, kw_only=True):
    """What a second stage takes over."""

    config: Path
    """The first one's settings."""
    values: dict[str, Any]
    """By path: what was changed while it went on, and that its model is begun with."""
    passed_over: PassedOver = PassedOver()
    """Of its log."""


def _towards_model(folder: RunFolder, state: RunState) -> str:
    """What to type for one."""
    way, what = ["--resume", folder.id], "Let that training end first"
    if state.job == "plan":
        way, what = ["--plan", folder.id], "A plan trains nothing; train as planned"
    elif state.job == "tune" and state.study is not None:
        if state.study.best is None:
            return "A study trains nothing, and this one has no result to train with."
        way, what = ["--trial", f"{folder.id}#{state.study.best}"], "A study trains nothing; train with its best trial"
    return f"{what}: {shell_line('speedtui', 'train', '--runs', str(folder.path.parent), *way)}"


def find_stage(runs: Path, name: str) -> FoundStage:
    """The training called `name`, by its run's id.

    A tokenizer that was trained on the first stage's data is taken over too: the model knows no other tokens.

    Raises:
        RunFolderError: there is no such run, or it has left no model.
        ConfigError: its configuration cannot be read.
    """
    folder = find_run(runs, name)
    folder.require_obeyed()
    model, state = folder.path / MODEL, read_state(folder.events)
    if not model.is_dir():
        raise RunFolderError(f"--from {name}: that run has left no model", _towards_model(folder, state))
    settings = load_settings(folder.config)
    values: dict[str, Any] = dict(state.laid_over)
    values.pop("train.max_steps", None)
    if settings.model.architecture and not settings.model.tokenizer:
        values["model.tokenizer"] = str(model)
    values["model.start_from"] = str(model)
    return FoundStage(config=folder.config, values=values, passed_over=state.passed_over)
