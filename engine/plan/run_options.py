"""What is known of runs with this model and data: from a plan, from a study's trials, from a training itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Literal

import msgspec

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.config.same_steps import same_steps
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan.what_if import KnownRun, epoch_steps_of, known_from_estimate, step_seconds
from speedtui.engine.plan_types import Change, ProfileRow, Saving
from speedtui.engine.profile.apply import values_of
from speedtui.engine.schedule.costs import RunCosts, StepsTime
from speedtui.engine.state import RunState, TrainingState, TrialRow

WHERE = "the plan"
TYPICAL_LATE_SHARE = 0.064
"""From P50 to P90 of a training that has said neither yet: 1.28 standard deviations of a relative 0.05, by which a
run's steps differ from what was expected of them (engine/timing/estimate.py)."""

ELSEWHERE = ("window.", "search.", "track.")
"""What a profile says nothing of."""

OptionKind = Literal["run", "profile", "trial"]


class RunOption(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that the next run can take, and what is known of a run with them. None where nothing is."""

    name: str
    kind: OptionKind
    values: dict[str, Scalar]
    """By path, what makes the run's configuration into this."""
    description: str = ""
    source: str = ""
    """Where the figures come from: `this run`, `#2`, `measured`, `history`, `model`; empty where there are none."""
    source_age_seconds: float | None = None
    measured: bool = False
    known: KnownRun | None = None
    step_seconds: float | None = None
    tokens_per_second: float | None = None
    peak_bytes: int | None = None
    limit_bytes: int | None = None
    memory_fits: bool | None = None
    changes: list[Change] = []
    """What a plan gave up so that it fits."""
    note: str = ""


def plan_options(run: RunState, base: Settings) -> list[RunOption]:
    """The rows of a run's plan, as what they change of `base`; those of them that can be read."""
    if run.plan is None:
        return []
    return list(_readable(partial(_of_row, row, run, base) for row in run.plan.profiles))


def _readable(options: Iterable[Callable[[], RunOption]]) -> Iterator[RunOption]:
    """A choice whose settings another version wrote is none here; the others are."""
    for option in options:
        with suppress(ConfigError):
            yield option()


def _of_row(row: ProfileRow, run: RunState, base: Settings) -> RunOption:
    plan, estimate = run.plan, row.estimate
    settings = recorded_settings(run.config, WHERE, row.values)
    values = {path: value for path, value in values_of(settings, base).items() if not path.startswith(ELSEWHERE)}
    known = None
    if estimate is not None and plan is not None:
        known = known_from_estimate(
            estimate, settings, rows=plan.train_rows, eval_rows=run.model.eval_rows if run.model is not None else None,
            eval_seconds=row.eval_seconds, save_seconds=row.save_seconds,
        )  # fmt: skip
    return RunOption(
        name=row.profile, kind="profile", values=values, description=row.description,
        source=row.source, source_age_seconds=row.source_age_seconds, measured=row.source == "measured", known=known,
        step_seconds=row.step_seconds, tokens_per_second=row.tokens_per_second,
        peak_bytes=row.peak_bytes if row.peak_bytes is not None else row.predicted_bytes,
        limit_bytes=row.limit_bytes, memory_fits=row.memory_fits, changes=row.changes, note=row.note,
    )  # fmt: skip


def with_savings(options: Sequence[RunOption], run: RunState) -> list[RunOption]:
    """What a run's plan computed that other steps save holds for every option with the steps it is computed for."""
    plan = run.plan
    row = plan.row if plan is not None else None
    if plan is None or row is None or not plan.savings:
        return list(options)
    try:
        settings = recorded_settings(run.config, WHERE, row.values)
    except ConfigError:
        return list(options)
    return [_with_savings(option, settings, tuple(plan.savings)) for option in options]


def _with_savings(option: RunOption, settings: Settings, savings: tuple[Saving, ...]) -> RunOption:
    known = option.known
    if known is None or not same_steps(known.settings, settings):
        return option
    return msgspec.structs.replace(option, known=msgspec.structs.replace(known, savings=savings))


def trial_options(run: RunState) -> list[RunOption]:
    """The trials of a run's study that were measured and can be read, the fastest first."""
    study = run.study
    if study is None:
        return []
    rows = [row for row in study.rows if row.result is not None and row.status is TrialStatus.OK]
    found = _readable(partial(_of_trial, row, run) for row in rows if row.candidate.values)
    return sorted(found, key=lambda option: option.step_seconds or math.inf)


def _of_trial(row: TrialRow, run: RunState) -> RunOption:
    result = row.result
    assert result is not None
    measured, memory, estimate = result.measurement, result.memory, result.estimate
    settings = recorded_settings(run.config, WHERE, row.candidate.values)
    known = None
    if estimate is not None:
        model = run.model
        known = known_from_estimate(
            estimate, settings, rows=model.train_rows if model is not None else None,
            eval_rows=model.eval_rows if model is not None else None,
        )  # fmt: skip
    return RunOption(
        name=f"#{row.candidate.id} {row.candidate.label}", kind="trial", values=row.candidate.values,
        source=f"#{row.candidate.id}", measured=True, known=known,
        step_seconds=measured.step_seconds if measured is not None else None,
        tokens_per_second=measured.tokens_per_second if measured is not None else None,
        peak_bytes=memory.peak_bytes if memory is not None else None,
        limit_bytes=memory.limit_bytes if memory is not None else None, memory_fits=True,
    )  # fmt: skip


def run_option(run: RunState, settings: Settings) -> RunOption | None:
    """The training of this run, as it goes; `settings`: as they are now. None where it does not train."""
    training = run.training
    if training is None:
        return None
    known = known_from_training(run, training, settings)
    window = training.steps
    device = next((device.memory_bytes for device in run.devices if device.kind == "cuda"), None)
    return RunOption(
        name="this run", kind="run", values={}, description=training.label, source="this run", measured=True,
        known=known, step_seconds=step_seconds(known) if known is not None else None,
        tokens_per_second=window.tokens_per_second, peak_bytes=window.peak_reserved_bytes, limit_bytes=device,
        memory_fits=True if training.step else None,
    )  # fmt: skip


def known_from_training(run: RunState, training: TrainingState, settings: Settings) -> KnownRun | None:
    """A whole run at the pace of this one; None before its pace is known.

    Steps cost what those made took and those to come are expected to; an evaluation, a checkpoint what they took on
    average.
    """
    done, left = training.step_totals, max(training.total_steps - training.step, 0)
    eta = training.eta
    to_come = eta.terms.get("steps") if eta is not None and training.finished is None else None
    if not done.count:
        return None
    each = (done.seconds + to_come) / (done.count + left) if to_come is not None else done.seconds / done.count
    model = run.model
    eval_rows = training.evaluations[-1].rows if training.evaluations else model.eval_rows if model is not None else 0
    steps = StepsTime(
        seconds=each * training.total_steps, deviation=0.0, uncertainty=0.0, total_steps=training.total_steps,
        epoch_steps=epoch_steps_of(settings, training.total_steps, model.train_rows if model is not None else None),
        epochs=math.ceil(training.epochs),
    )  # fmt: skip
    return KnownRun(
        settings=settings, steps=steps, costs=_costs_of(run, training), evaluates=bool(eval_rows),
        eval_rows=eval_rows or None, late_share=_late_share(training),
    )  # fmt: skip


def _costs_of(run: RunState, training: TrainingState) -> RunCosts:
    evaluation, generate, metric = _evaluation_costs(training)
    saves = training.checkpoint_totals
    final = next((saved.seconds for saved in reversed(training.checkpoints) if saved.final), None)
    return RunCosts(
        load_seconds=_load_seconds(run, training),
        eval_seconds=evaluation, generate_seconds=generate, metric_seconds=metric, save_seconds=saves.mean_seconds,
        final_seconds=final if final is not None else saves.mean_seconds,
        rehearsal_seconds=training.rehearsal.seconds if training.rehearsal is not None else None,
    )  # fmt: skip


def _load_seconds(run: RunState, training: TrainingState) -> float | None:
    """To the first step; a training in a run that did something else before it has loaded the model only once."""
    if run.job == "train":
        return training.started_at
    return run.model.seconds if run.model is not None else None


def _evaluation_costs(training: TrainingState) -> tuple[float | None, float | None, float | None]:
    """Seconds of (the loss, generation, the metric) in one evaluation, by those made, else by the rehearsal."""
    full, loss = training.full_evaluations, training.loss_evaluations
    phases = training.evaluation_phases
    if full.count and phases:
        each = {name: phases.get(name, 0.0) / full.count for name in ("generate", "metric")}
        rest = full.seconds + loss.seconds - phases.get("generate", 0.0) - phases.get("metric", 0.0)
        return rest / (full.count + loss.count), each["generate"] or None, each["metric"] or None
    if full.count or loss.count:
        return (full.mean_seconds if full.count else loss.mean_seconds), None, None
    rehearsal = training.rehearsal
    if rehearsal is None or rehearsal.seconds <= 0:
        return None, None, None
    share = rehearsal.expected_phases or {
        name: seconds / rehearsal.seconds * rehearsal.expected_seconds for name, seconds in rehearsal.phases.items()
    }
    generate, metric = share.get("generate"), share.get("metric")
    return rehearsal.expected_seconds - (generate or 0.0) - (metric or 0.0), generate, metric


def _late_share(training: TrainingState) -> float:
    """As far as the training said it first, when nearly all of it was to come."""
    eta = training.first_eta or training.eta
    if eta is None or not eta.p50_seconds or eta.p90_seconds is None:
        return TYPICAL_LATE_SHARE
    return (eta.p90_seconds - eta.p50_seconds) / eta.p50_seconds
