"""How long a run would take under another schedule, from one run that is known; no data and no curve are needed.

The steps stay what they are, so whatever changes a step is not answered here: that takes a probe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from speedtui.engine.candidate import Estimate, FigureSource
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.same_steps import same_steps
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.plan_types import Saving
from speedtui.engine.schedule.costs import ANSWERS, COMPUTED, RunCosts, StepsTime, left_out, time_schedule
from speedtui.engine.schedule.count import Due
from speedtui.engine.schedule.steps import counts_of

ROUNDS = 4
"""In which full evaluations are told from those of the loss alone: what comes by the clock moves with their prices."""
EVALUATING = ("schedule.eval_batch_size",)
GENERATING = ("schedule.beams", "schedule.max_new_tokens", "schedule.generation_batch_size")
SCORING = ("schedule.metric", "schedule.metric_threads", "schedule.metric_timeout")
"""What changes the price of a loss, of an answer and of its score, besides leaving them out."""


class KnownRun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run with certain settings."""

    settings: Settings
    steps: StepsTime
    costs: RunCosts
    evaluates: bool
    """There is an evaluation set."""
    eval_rows: int | None = None
    """That an evaluation in `costs` is over; None where that is not known."""
    late_share: float
    """From P50 to P90, as a share of the time that is computed."""
    source: FigureSource = "measured"
    savings: tuple[Saving, ...] = ()
    """What other steps were computed to save beside these."""


def what_if(known: KnownRun, settings: Settings) -> Estimate | None:
    """The whole run with other settings; None where they ask for something that was not measured (`unmeasured`).

    P90 is as far above P50, relative to what is computed (steps, evaluations, generation), as it is in the run that
    is known: most of that distance is the error of the curve, which they share.
    """
    if unmeasured(known, settings):
        return None
    saving = computed_saving(known, settings)
    steps, costs = _steps(known, settings), _costs(known, settings)
    if saving is not None:
        steps = msgspec.structs.replace(steps, seconds=steps.seconds * (1 - saving.share))
    terms, due, _ = time_schedule(steps, costs, settings.schedule, evaluates=known.evaluates)
    p50 = math.fsum(terms.values())
    late = known.late_share * math.fsum(terms[name] for name in (*COMPUTED, *ANSWERS))
    return Estimate(
        p50_seconds=p50, p90_seconds=p50 + late, terms=terms, total_steps=steps.total_steps,
        evals=due.full + due.loss, saves=round(due.saves), source=known.source if saving is None else "model",
        unmeasured=left_out(costs, settings.schedule, due),
    )  # fmt: skip


def nearest_known(settings: Settings, knowns: Iterable[KnownRun]) -> KnownRun | None:
    """The first one that answers for these settings; what was computed counts less than what was measured."""
    found = [known for known in knowns if not unmeasured(known, settings)]
    return next((known for known in found if same_steps(known.settings, settings)), found[0] if found else None)


def computed_saving(known: KnownRun, settings: Settings) -> Saving | None:
    """What these settings were computed to save beside those that are known; None where the steps are the same."""
    if not known.savings or same_steps(known.settings, settings):
        return None
    other = ((saving, with_values(known.settings, saving.values, "the plan")) for saving in known.savings)
    return next((saving for saving, saved in other if same_steps(saved, settings)), None)


def unmeasured(known: KnownRun, settings: Settings) -> str:
    """What these settings ask for that is not known, in words; empty where all of it is."""
    if not same_steps(known.settings, settings) and computed_saving(known, settings) is None:
        return "another step"
    schedule, costs = settings.schedule, known.costs
    if not known.evaluates or schedule.eval_every == schedule.fast_eval_every == "never":
        return ""
    if (
        costs.eval_seconds is None
        or _more_rows_than_known(known, settings)
        or _differ(EVALUATING, known.settings, settings)
    ):
        return "the time of an evaluation"
    if schedule.eval_every == "never" or not schedule.generate:
        return ""
    if costs.generate_seconds is None or _differ(GENERATING, known.settings, settings):
        return "the time to generate answers"
    if schedule.metric and (costs.metric_seconds is None or _differ(SCORING, known.settings, settings)):
        return "the time of the metric"
    return ""


def step_seconds(known: KnownRun) -> float:
    """Mean of a step."""
    return known.steps.seconds / max(known.steps.total_steps, 1)


def known_from_estimate(
    estimate: Estimate, settings: Settings, *, rows: int | None, eval_rows: int | None,
    eval_seconds: float | None = None, save_seconds: float | None = None,
) -> KnownRun:  # fmt: skip
    """What an estimate of these settings says of each thing.

    `rows`, `eval_rows`: of the data, None where that is not known; `eval_seconds`, `save_seconds`: of one, where the
    estimate has none of them.
    """
    terms = estimate.terms
    steps = StepsTime(
        seconds=terms.get("steps", 0.0), deviation=0.0, uncertainty=0.0, total_steps=estimate.total_steps,
        epoch_steps=epoch_steps_of(settings, estimate.total_steps, rows), epochs=math.ceil(settings.train.epochs),
    )  # fmt: skip
    evaluates = bool(estimate.evals or eval_rows)
    costs = RunCosts(
        load_seconds=terms.get("load", 0.0), compile_seconds=terms.get("compile", 0.0),
        final_seconds=terms.get("final", 0.0), save_seconds=save_seconds,
        rehearsal_seconds=terms.get("rehearsal"),
        eval_seconds=terms.get("evals", 0.0) / estimate.evals if estimate.evals else eval_seconds,
    )  # fmt: skip
    computed = math.fsum(terms.get(name, 0.0) for name in (*COMPUTED, *ANSWERS))
    return KnownRun(
        settings=settings, steps=steps, costs=_shared_out(estimate, steps, costs, settings.schedule, evaluates),
        evaluates=evaluates, eval_rows=_rows_evaluated(settings, eval_rows),
        late_share=(estimate.p90_seconds - estimate.p50_seconds) / computed if computed > 0 else 0.0,
        source=estimate.source,
    )  # fmt: skip


def epoch_steps_of(settings: Settings, total_steps: int, rows: int | None) -> int:
    """Steps of an epoch: by the rows where those make the total, else by the epochs that the total is of."""
    if rows:
        counts = counts_of(settings, rows)
        if counts.total_steps == total_steps:
            return counts.epoch_steps
    return max(round(total_steps / settings.train.epochs), 1)


def _shared_out(
    estimate: Estimate, steps: StepsTime, costs: RunCosts, schedule: ScheduleSettings, evaluates: bool
) -> RunCosts:
    """The terms of an estimate divided by how often each thing happens in it."""
    terms, due = estimate.terms, Due(full=estimate.evals, saves=float(estimate.saves))
    for _ in range(ROUNDS):
        costs = msgspec.structs.replace(
            costs,
            generate_seconds=terms.get("generate", 0.0) / due.full if due.full and schedule.generate else None,
            metric_seconds=terms.get("metric", 0.0) / due.full if due.full and schedule.metric else None,
            save_seconds=terms["saves"] / due.saves if due.saves and terms.get("saves") else costs.save_seconds,
        )
        due = time_schedule(steps, costs, schedule, evaluates=evaluates).due
    return costs


def _rows_evaluated(settings: Settings, eval_rows: int | None) -> int | None:
    cut = settings.data.eval_rows
    return min(cut, eval_rows) if cut is not None and eval_rows else cut or eval_rows


def _steps(known: KnownRun, settings: Settings) -> StepsTime:
    """As long a step, as many of them as are asked for."""
    train, steps = settings.train, known.steps
    same = (train.epochs, train.max_steps) == (known.settings.train.epochs, known.settings.train.max_steps)
    total = steps.total_steps if same else train.max_steps or math.ceil(train.epochs * steps.epoch_steps)
    return msgspec.structs.replace(
        steps, seconds=steps.seconds * total / max(steps.total_steps, 1), total_steps=total,
        epochs=math.ceil(total / max(steps.epoch_steps, 1)),
    )  # fmt: skip


def _costs(known: KnownRun, settings: Settings) -> RunCosts:
    """With evaluations on as many rows as are asked for."""
    asked = settings.data.eval_rows
    if asked is None or not known.eval_rows or asked == known.settings.data.eval_rows:
        return known.costs
    share = asked / known.eval_rows
    if known.settings.data.eval_rows is None:
        share = min(share, 1.0)
    return known.costs.evaluating(share)


def _more_rows_than_known(known: KnownRun, settings: Settings) -> bool:
    """Whether the price of an evaluation on so many rows cannot be told."""
    before, asked = known.settings.data.eval_rows, settings.data.eval_rows
    return before != asked and (asked is None or known.eval_rows is None)


def _differ(paths: Iterable[str], one: Settings, other: Settings) -> bool:
    return any(value_at(one, path) != value_at(other, path) for path in paths)
