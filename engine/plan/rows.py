"""A resolved profile and its forecast as a row of the plan."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import FigureSource, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan.forecast import Forecast
from speedtui.engine.plan.numbers import trained_epochs
from speedtui.engine.plan.resolved_profiles import ResolvedProfile
from speedtui.engine.plan_types import Fit, ProfileRow
from speedtui.engine.search.candidates import label
from speedtui.engine.timing.verdict import judge_finish, spare_seconds


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """What the costs of answers and their scores rest on."""

    source: FigureSource
    age_seconds: float | None = None
    """Of the run they come from."""


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What the figures of a row rest on."""

    source: FigureSource
    forecast: Forecast | None = None
    """None where no time is known."""
    result: TrialResult | None = None
    """Of the probe, where there was one."""
    age_seconds: float | None = None
    note: str = ""
    answers: Answered | None = None
    """None where the run writes none, or nothing is known of them."""


def profile_row(
    case: ResolvedProfile, basis: Basis, settings: Settings, *, window: Window | None, now: float,
    limit_bytes: int | None, train_rows: int,
) -> ProfileRow:  # fmt: skip
    """`settings`: the run's own; `now`: wall clock, seconds since the epoch; `train_rows`: of this case's data."""
    train = case.settings.train
    forecast = basis.forecast
    estimate = forecast.estimate(case.settings) if forecast is not None else None
    fits_memory = _fits_memory(case, basis.result)
    fit: Fit = "no_memory" if fits_memory is False else judge_finish(now, estimate, window)
    return ProfileRow(
        profile=case.profile.name,
        description=case.profile.description,
        label=label(case.settings),
        values=case.values(settings),
        micro_batch_size=train.micro_batch_size,
        grad_accum_steps=train.effective_batch_size // train.micro_batch_size,
        max_length=case.settings.data.max_length,
        epochs=trained_epochs(case.settings, train_rows),
        changes=case.changes,
        step_seconds=_step_seconds(forecast, case.settings),
        tokens_per_second=_tokens_per_second(forecast, case.settings),
        peak_bytes=_peak(case, basis.result),
        predicted_bytes=case.expected.peak_bytes if case.expected is not None else None,
        breakdown=case.expected.breakdown if case.expected is not None else None,
        limit_bytes=limit_bytes,
        memory_fits=fits_memory,
        eval_seconds=forecast.costs.eval_seconds if forecast is not None else None,
        save_seconds=forecast.costs.save_seconds if forecast is not None else None,
        generate_seconds=forecast.costs.generate_seconds if forecast is not None else None,
        metric_seconds=forecast.costs.metric_seconds if forecast is not None else None,
        answer_tokens=forecast.costs.answer_tokens if forecast is not None else None,
        answers_source=basis.answers.source if basis.answers is not None else None,
        answers_age_seconds=basis.answers.age_seconds if basis.answers is not None else None,
        estimate=estimate,
        finish_p50=now + estimate.p50_seconds if estimate is not None else None,
        finish_p90=now + estimate.p90_seconds if estimate is not None else None,
        spare_seconds=spare_seconds(now, estimate, window),
        fit=fit,
        source=basis.source,
        source_age_seconds=basis.age_seconds,
        note="; ".join(note for note in (case.note, basis.note) if note),
    )


def _fits_memory(case: ResolvedProfile, result: TrialResult | None) -> bool | None:
    """What a probe showed counts more than what was predicted."""
    if result is not None and result.status is TrialStatus.OUT_OF_MEMORY:
        return False
    if result is not None and result.measurement is not None:
        return True
    return case.expected.fits if case.expected is not None else None


def _peak(case: ResolvedProfile, result: TrialResult | None) -> int | None:
    measured = result.memory.peak_bytes if result is not None and result.memory is not None else None
    if measured is not None:
        return measured
    return case.expected.peak_bytes if case.expected is not None else None


def _step_seconds(forecast: Forecast | None, settings: Settings) -> float | None:
    """Mean over the run."""
    if forecast is None:
        return None
    steps = forecast.steps(settings)
    return steps.seconds / steps.total_steps if steps.total_steps else None


def _tokens_per_second(forecast: Forecast | None, settings: Settings) -> float | None:
    if forecast is None:
        return None
    tokens, seconds = forecast.shape(settings).tokens, forecast.steps(settings).seconds
    return tokens / seconds if tokens and seconds > 0 else None
